#include "exercises/03_paged_attention.h"

namespace llm::exercises {

// 3.1. Blocks of 16. A prompt of 100 tokens is forked into 8 samples, and 59 tokens of each join the cache. How many
// blocks are taken then, how many were copied on the way, and how many would it be if nothing were shared?
const int32_t kBlocksTaken = 0;
const int32_t kBlocksCopied = 0;
const int32_t kBlocksUnshared = 0;

// 3.2. Texts of 1 to 141 tokens, all lengths equally often, so 71 in the mean. Which is the smallest power of two that,
// as a block size, leaves more than half of the slots taken unused?
const int32_t kWastefulBlockSize = 0;

// 3.3. Where the token at `position` stands: `blocks` is its sequence's block table.
int32_t slot(std::span<const int32_t> blocks, int32_t block_size, int32_t position) { return -1; }

// 3.4. Copy-on-write. A sequence holds `length` tokens in ⌈length / block_size⌉ blocks and is to get `count` more. All
// its blocks but the last are full; the last may have another owner, who must not see what is written.
Growth plan_growth(int32_t length, int32_t count, int32_t block_size, bool last_is_shared) { return {false, -1}; }

// 3.5. The free block that was released longest ago, now with one owner; nothing where all are taken.
std::optional<int32_t> BlockPool::allocate() { return std::nullopt; }

void BlockPool::share(int32_t block) {}

// The last owner's leaving puts the block at the end of the free list.
void BlockPool::release(int32_t block) {}

}  // namespace llm::exercises
