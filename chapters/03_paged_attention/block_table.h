// Where one sequence's tokens stand: a process's page table, with blocks for page frames.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "chapters/03_paged_attention/block_pool.h"

namespace llm {

// The first `num_slots` slots of block `from`, to be copied to block `to` in every layer.
struct BlockCopy {
  int32_t from, to, num_slots;
};

// Holds `length` tokens; the one at position p stands in block blocks()[p / block_size]. Owns its blocks by reference
// counts in the pool, and must be emptied with truncate(0) before it goes.
class BlockTable {
 public:
  explicit BlockTable(int32_t block_size) : block_size_(block_size) {}

  int32_t length() const { return length_; }
  const std::vector<int32_t>& blocks() const { return blocks_; }
  int32_t slot(int32_t position) const;

  // The block to which the next token goes where others would see it: partly filled, and shared.
  std::optional<int32_t> block_to_copy(const BlockPool& pool) const;
  // How many blocks to add for `count` more tokens, beside that copy.
  int32_t num_blocks_to_add(int32_t count) const;

  // Takes the blocks for `count` more tokens; the pool must have as many as the two functions above say. Returns the
  // copy that must be made before anything is written: copy-on-write.
  std::optional<BlockCopy> allocate(int32_t count, BlockPool& pool);
  // `count` tokens have got their slots.
  void append(int32_t count);

  // Becomes the owner, one of several, of full blocks that hold another's beginning. It must be empty.
  void adopt(const std::vector<int32_t>& blocks, BlockPool& pool);

  // Gives back what stands at positions `length` and beyond, the last block first.
  void truncate(int32_t length, BlockPool& pool);

  // A second owner of all that is held: no block is taken, no number copied.
  BlockTable fork(BlockPool& pool) const;

 private:
  int32_t capacity() const { return static_cast<int32_t>(blocks_.size()) * block_size_; }

  int32_t block_size_;
  int32_t length_ = 0;
  std::vector<int32_t> blocks_;  // [ceil(length / block_size)], more between allocate and append
};

}  // namespace llm
