#include "chapters/08_prompt_caching/prefix_cache.h"

#include <algorithm>

#include "common/error.h"

namespace llm {

PrefixCache::PrefixCache(BlockPool& pool, int32_t block_size, HashBlockFn hash)
    : pool_(pool), block_size_(block_size), hash_(hash), known_(static_cast<size_t>(pool.num_blocks())) {
  pool_.on_allocate([this](int32_t block) { forget(block); });
}

PrefixCache::~PrefixCache() { pool_.on_allocate({}); }

// region: match
std::vector<int32_t> PrefixCache::match(std::span<const int32_t> tokens, std::string_view salt,
                                        const IsUsable& is_usable) const {
  const auto block_size = static_cast<size_t>(block_size_);
  std::vector<int32_t> blocks;
  uint64_t hash = 0;
  int64_t prefix_id = 0;
  for (size_t end = block_size; end < tokens.size(); end += block_size) {
    const std::span<const int32_t> part = tokens.subspan(end - block_size, block_size);
    hash = hash_(hash, part, salt);
    const std::optional<int32_t> block = find(hash, prefix_id, part, salt, is_usable);
    if (!block) break;
    prefix_id = known_[static_cast<size_t>(*block)]->prefix_id;
    blocks.push_back(*block);
  }
  return blocks;
}

std::optional<int32_t> PrefixCache::find(uint64_t hash, int64_t parent_id, std::span<const int32_t> tokens,
                                         std::string_view salt, const IsUsable& is_usable) const {
  const auto [first, last] = by_hash_.equal_range(hash);
  for (auto it = first; it != last; ++it) {
    const KnownBlock& known = *known_[static_cast<size_t>(it->second)];
    // The hash says where to look, this says what is there: a collision is a miss.
    const bool same = known.parent_id == parent_id && std::ranges::equal(known.tokens, tokens) && known.salt == salt;
    if (same && (!is_usable || is_usable(it->second))) return it->second;
  }
  return std::nullopt;
}
// endregion

// region: record
size_t PrefixCache::record(std::span<const int32_t> tokens, std::span<const int32_t> blocks, std::string_view salt) {
  const auto block_size = static_cast<size_t>(block_size_);
  const size_t num_full = tokens.size() / block_size;
  require(num_full <= blocks.size(), "{} full blocks, but {} are given", num_full, blocks.size());
  size_t num_known = num_full;  // known ones come first: a text's blocks become known in order
  while (num_known > 0 && !is_known(blocks[num_known - 1])) --num_known;

  uint64_t hash = 0;
  int64_t prefix_id = 0;
  if (num_known > 0) {
    const KnownBlock& last = *known_[static_cast<size_t>(blocks[num_known - 1])];
    require(std::ranges::equal(last.tokens, tokens.subspan((num_known - 1) * block_size, block_size)),
            "block {} is known for other tokens than it holds", blocks[num_known - 1]);
    hash = last.hash;
    prefix_id = last.prefix_id;
  }
  for (size_t i = num_known; i < num_full; ++i) {
    const std::span<const int32_t> part = tokens.subspan(i * block_size, block_size);
    hash = hash_(hash, part, salt);
    const std::optional<int32_t> twin = find(hash, prefix_id, part, salt, {});
    const int64_t parent_id = prefix_id;
    prefix_id = twin ? known_[static_cast<size_t>(*twin)]->prefix_id : ++last_prefix_id_;
    known_[static_cast<size_t>(blocks[i])] = {
        hash, prefix_id, parent_id, {part.begin(), part.end()}, std::string(salt)};
    by_hash_.emplace(hash, blocks[i]);
  }
  return num_known;
}
// endregion

// region: forget
void PrefixCache::forget(int32_t block) {
  std::optional<KnownBlock>& known = known_[static_cast<size_t>(block)];
  if (!known) return;
  auto [it, last] = by_hash_.equal_range(known->hash);
  while (it->second != block) ++it;
  by_hash_.erase(it);
  known.reset();
  ++num_evicted_;
}
// endregion

}  // namespace llm
