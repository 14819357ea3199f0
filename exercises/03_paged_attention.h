// The exercises of chapter 3; `./test exercise 3` checks them.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

namespace llm::exercises {

extern const int32_t kBlocksTaken, kBlocksCopied, kBlocksUnshared;  // 3.1
extern const int32_t kWastefulBlockSize;                            // 3.2

int32_t slot(std::span<const int32_t> blocks, int32_t block_size, int32_t position);  // 3.3

// 3.4. What must happen before tokens are written.
struct Growth {
  bool copies_last;    // the last block, to a free one
  int32_t num_blocks;  // that are taken from the pool, the copy among them
};
Growth plan_growth(int32_t length, int32_t count, int32_t block_size, bool last_is_shared);

// 3.5. Each block is in the free list and has no owner, or is out of it and has one owner or more.
class BlockPool {
 public:
  explicit BlockPool(int32_t num_blocks) : ref_counts_(static_cast<size_t>(num_blocks)) {
    for (int32_t block = 0; block < num_blocks; ++block) free_list_.push_back(block);
  }

  std::optional<int32_t> allocate();
  void share(int32_t block);  // one that has an owner
  void release(int32_t block);

  int32_t num_free() const { return static_cast<int32_t>(free_list_.size()); }
  int32_t ref_count(int32_t block) const { return ref_counts_[static_cast<size_t>(block)]; }

 private:
  std::vector<int32_t> ref_counts_;  // [num_blocks]
  std::deque<int32_t> free_list_;    // in the order of release
};

}  // namespace llm::exercises
