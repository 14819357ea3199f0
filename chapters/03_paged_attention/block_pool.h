// The fixed set of KV blocks that all sequences draw from: who owns which, and which are free. An operating system's
// page frames.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <vector>

namespace llm {

// A block id names the same slots in the K and the V storage of every layer.
//
// Invariant, checked by tests after every operation: each block is either in the free list and has no owner, or out of
// it and has one owner or more.
class BlockPool {
 public:
  explicit BlockPool(int32_t num_blocks);

  int32_t num_blocks() const { return static_cast<int32_t>(ref_counts_.size()); }
  int32_t num_free() const { return static_cast<int32_t>(free_list_.size()); }
  int32_t num_used() const { return num_blocks() - num_free(); }

  // The free block that was released longest ago, now with one owner; nothing when all are taken: the caller then
  // waits, preempts or evicts.
  std::optional<int32_t> allocate();

  // One owner more: forked samples, and requests whose prompts begin alike. What a free block holds stays readable
  // until it is allocated again, so a free one may be shared too: it leaves the free list.
  void share(int32_t block);

  // Calls `forget` with each block that allocate() gives out, before its new owner has it: what the block held is lost
  // from then on. Chapter 8 knows blocks by what they hold.
  void on_allocate(std::function<void(int32_t block)> forget) { forget_ = std::move(forget); }

  // One owner less; the last one's leaving puts the block at the end of the free list.
  void release(int32_t block);

  int32_t ref_count(int32_t block) const { return ref_counts_.at(static_cast<size_t>(block)); }
  // Whether a write to `block` would be seen by another owner, and so needs a copy first.
  bool is_shared(int32_t block) const { return ref_count(block) > 1; }

 private:
  using FreeList = std::list<int32_t>;

  std::vector<int32_t> ref_counts_;          // [num_blocks]
  FreeList free_list_;                       // in the order of release
  std::vector<FreeList::iterator> free_at_;  // [num_blocks] where a free block stands in the list
  std::function<void(int32_t)> forget_;
};

}  // namespace llm
