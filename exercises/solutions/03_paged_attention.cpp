#include "exercises/03_paged_attention.h"

namespace llm::exercises {

// Six blocks of the prompt are full and shared. The seventh is not, and seven of the eight samples copy it; each has
// three more of its own.
const int32_t kBlocksTaken = 6 + 8 * (10 - 6);
const int32_t kBlocksCopied = 7;
const int32_t kBlocksUnshared = 8 * 10;  // ⌈159 / 16⌉ each

// Half a block is lost in the mean, so more than half of all where (b − 1) / 2 > 71.
const int32_t kWastefulBlockSize = 256;

int32_t slot(std::span<const int32_t> blocks, int32_t block_size, int32_t position) {
  return blocks[static_cast<size_t>(position / block_size)] * block_size + position % block_size;
}

Growth plan_growth(int32_t length, int32_t count, int32_t block_size, bool last_is_shared) {
  const auto num_blocks = [&](int32_t tokens) { return (tokens + block_size - 1) / block_size; };
  const bool copies_last = last_is_shared && length % block_size != 0;  // nobody writes to a full block
  return {copies_last, num_blocks(length + count) - num_blocks(length) + copies_last};
}

std::optional<int32_t> BlockPool::allocate() {
  if (free_list_.empty()) return std::nullopt;
  const int32_t block = free_list_.front();
  free_list_.pop_front();
  ref_counts_[static_cast<size_t>(block)] = 1;
  return block;
}

void BlockPool::share(int32_t block) { ++ref_counts_[static_cast<size_t>(block)]; }

void BlockPool::release(int32_t block) {
  if (--ref_counts_[static_cast<size_t>(block)] == 0) free_list_.push_back(block);
}

}  // namespace llm::exercises
