// Which blocks hold the beginning of a text: full blocks of the pool, found again by what they hold. A block that
// nobody owns stands in the pool's free list with its content until it is given out for another; only then is it
// forgotten. Kwon et al., "Efficient Memory Management for Large Language Model Serving with PagedAttention", 2023,
// section 4.4, and vLLM's automatic prefix caching.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "chapters/03_paged_attention/block_pool.h"
#include "chapters/08_prompt_caching/block_hash.h"

namespace llm {

// Invariant, checked by tests: a block is known only while it holds what it is known for, and the blocks before it in
// its text are known at least as long.
class PrefixCache {
 public:
  // Listens to the pool, which must outlive it, for blocks that are given out.
  PrefixCache(BlockPool& pool, int32_t block_size, HashBlockFn hash = hash_block);
  ~PrefixCache();
  PrefixCache(const PrefixCache&) = delete;
  PrefixCache& operator=(const PrefixCache&) = delete;

  // A rule that may refuse a block although it is known: not yet visible, too old.
  using IsUsable = std::function<bool(int32_t block)>;

  // The blocks of the longest known beginning of `tokens`. At least one token is left to compute: without it there
  // would be no logits. The blocks get no owner here.
  std::vector<int32_t> match(std::span<const int32_t> tokens, std::string_view salt,
                             const IsUsable& is_usable = {}) const;

  // `blocks` hold the keys and values of `tokens`: the full ones among them become known. Returns how many of these
  // were known before, the first ones of the text.
  size_t record(std::span<const int32_t> tokens, std::span<const int32_t> blocks, std::string_view salt);

  bool is_known(int32_t block) const { return known_.at(static_cast<size_t>(block)).has_value(); }
  int32_t num_known() const { return static_cast<int32_t>(by_hash_.size()); }
  int64_t num_evicted() const { return num_evicted_; }  // known blocks that were given out for other content
  int32_t block_size() const { return block_size_; }

 private:
  struct KnownBlock {
    uint64_t hash;
    // A number for all that stands up to the block's end: two blocks have the same one if they hold the same tokens, at
    // the same place, after the same ones. No number is given twice, so that it names what it names for ever.
    int64_t prefix_id;
    int64_t parent_id;            // the prefix_id of the block before; 0 for the first
    std::vector<int32_t> tokens;  // [block_size]
    std::string salt;
  };

  std::optional<int32_t> find(uint64_t hash, int64_t parent_id, std::span<const int32_t> tokens, std::string_view salt,
                              const IsUsable& is_usable) const;
  void forget(int32_t block);

  BlockPool& pool_;
  int32_t block_size_;
  HashBlockFn hash_;
  std::vector<std::optional<KnownBlock>> known_;        // [num_blocks]
  std::unordered_multimap<uint64_t, int32_t> by_hash_;  // twins computed side by side are both known
  int64_t last_prefix_id_ = 0;
  int64_t num_evicted_ = 0;
};

}  // namespace llm
