#include "chapters/03_paged_attention/block_pool.h"

#include "common/error.h"

namespace llm {

BlockPool::BlockPool(int32_t num_blocks)
    : ref_counts_(static_cast<size_t>(num_blocks), 0), free_at_(static_cast<size_t>(num_blocks)) {
  for (int32_t block = 0; block < num_blocks; ++block) {
    free_at_[static_cast<size_t>(block)] = free_list_.insert(free_list_.end(), block);
  }
}

// region: operations
std::optional<int32_t> BlockPool::allocate() {
  if (free_list_.empty()) return std::nullopt;
  const int32_t block = free_list_.front();
  if (forget_) forget_(block);
  share(block);
  return block;
}

void BlockPool::share(int32_t block) {
  int32_t& ref_count = ref_counts_.at(static_cast<size_t>(block));
  if (ref_count == 0) free_list_.erase(free_at_[static_cast<size_t>(block)]);
  ++ref_count;
}

void BlockPool::release(int32_t block) {
  int32_t& ref_count = ref_counts_.at(static_cast<size_t>(block));
  require(ref_count > 0, "block {} released by nobody who owned it", block);
  --ref_count;
  if (ref_count == 0) free_at_[static_cast<size_t>(block)] = free_list_.insert(free_list_.end(), block);
}
// endregion

}  // namespace llm
