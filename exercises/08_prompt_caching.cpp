#include "exercises/08_prompt_caching.h"

#include "chapters/08_prompt_caching/block_hash.h"  // hash_block, for 8.3

namespace llm::exercises {

// 8.1. A system prompt of 1,000 tokens, then a question of 50. Another user asks another question. How many tokens of
// the second prompt are found in the cache with blocks of 16, and how many with blocks of 256?
const int64_t kCachedInBlocksOf16 = 0;
const int64_t kCachedInBlocksOf256 = 0;

// 8.2. From which use on is a cached prefix cheaper than none, where writing a token costs 2 and reading one 0.5 of a
// fresh one? And where writing costs 1 and reading 0.1?
const int kBreakEvenOfDearWrites = 0;
const int kBreakEvenOfFreeWrites = 0;

// 8.3. The chain: a hash for each full block, made of the block's tokens, the salt, and the hash of the block before (0
// for the first), so that it stands for all that comes up to the block's end.
std::vector<uint64_t> hash_blocks(std::span<const int32_t> tokens, size_t block_size, std::string_view salt) {
  return {};
}

// 8.4. How many of the prompt's tokens need not be computed: whole blocks from the beginning on, each of whose hashes
// is `known`. At least one token is always left to compute, or there would be no logits.
size_t count_cached_tokens(size_t num_tokens, size_t block_size, std::span<const uint64_t> hashes,
                           const std::set<uint64_t>& known) {
  return 0;
}

// 8.5. The other way to know prefixes. A node's tokens are one piece as long as all texts go on alike; where a new text
// parts from them, the node is split in two.
void RadixTree::insert(std::span<const int32_t> tokens) {}

size_t RadixTree::match(std::span<const int32_t> tokens) const { return 0; }

}  // namespace llm::exercises
