// Requests in a pool with a prefix cache, without a model: who holds which blocks.
#pragma once

#include <gtest/gtest.h>

#include <numeric>

#include "chapters/08_prompt_caching/prefix_cache.h"

namespace llm {

using Ids = std::vector<int32_t>;

// first, first + 1, ...
inline Ids count_from(int32_t first, size_t count) {
  Ids ids(count);
  std::iota(ids.begin(), ids.end(), first);
  return ids;
}

inline Ids join(Ids first, const Ids& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

struct PrefixRequests {
  explicit PrefixRequests(int32_t num_blocks, int32_t block_size = 16, HashBlockFn hash = hash_block)
      : pool(num_blocks), cache(pool, block_size, hash) {}

  // Hits get their owner before new blocks are taken. Returns the table.
  Ids admit(const Ids& tokens, const std::string& salt = "") {
    Ids blocks = cache.match(tokens, salt);
    num_hits = blocks.size();
    for (const int32_t block : blocks) pool.share(block);
    const auto size = static_cast<size_t>(cache.block_size());
    while (blocks.size() * size < tokens.size()) blocks.push_back(pool.allocate().value());
    return blocks;
  }
  void release(const Ids& blocks) {
    for (size_t i = blocks.size(); i > 0; --i) pool.release(blocks[i - 1]);  // tails before heads
  }
  // A whole life: returns the blocks it had.
  Ids serve(const Ids& tokens, const std::string& salt = "") {
    const Ids blocks = admit(tokens, salt);
    cache.record(tokens, blocks, salt);
    release(blocks);
    return blocks;
  }
  size_t hits(const Ids& tokens, const std::string& salt = "") const { return cache.match(tokens, salt).size(); }

  BlockPool pool;
  PrefixCache cache;
  size_t num_hits = 0;  // of the last one admitted
};

}  // namespace llm
