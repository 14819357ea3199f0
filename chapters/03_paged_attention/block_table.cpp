#include "chapters/03_paged_attention/block_table.h"

#include <algorithm>

#include "common/error.h"

namespace llm {

namespace {
int32_t ceil_div(int32_t a, int32_t b) { return (a + b - 1) / b; }
}  // namespace

int32_t BlockTable::slot(int32_t position) const {
  return blocks_.at(static_cast<size_t>(position / block_size_)) * block_size_ + position % block_size_;
}

// region: allocate
std::optional<int32_t> BlockTable::block_to_copy(const BlockPool& pool) const {
  if (length_ % block_size_ == 0) return std::nullopt;  // the next token begins a block
  const int32_t block = blocks_[static_cast<size_t>(length_ / block_size_)];
  return pool.is_shared(block) ? std::optional(block) : std::nullopt;
}

int32_t BlockTable::num_blocks_to_add(int32_t count) const {
  return std::max(0, ceil_div(length_ + count - capacity(), block_size_));
}

std::optional<BlockCopy> BlockTable::allocate(int32_t count, BlockPool& pool) {
  std::optional<BlockCopy> copy;
  if (const std::optional<int32_t> shared = block_to_copy(pool)) {
    copy = {*shared, pool.allocate().value(), length_ % block_size_};
    blocks_[static_cast<size_t>(length_ / block_size_)] = copy->to;
    pool.release(*shared);
  }
  for (int32_t i = num_blocks_to_add(count); i > 0; --i) blocks_.push_back(pool.allocate().value());
  return copy;
}
// endregion

void BlockTable::append(int32_t count) {
  require(length_ + count <= capacity(), "{} tokens appended to {} in {} blocks of {}", count, length_, blocks_.size(),
          block_size_);
  length_ += count;
}

void BlockTable::adopt(const std::vector<int32_t>& blocks, BlockPool& pool) {
  require(blocks_.empty(), "blocks adopted by a sequence that has {} of its own", blocks_.size());
  for (const int32_t block : blocks) pool.share(block);
  blocks_ = blocks;
  length_ = capacity();
}

// region: truncate
void BlockTable::truncate(int32_t length, BlockPool& pool) {
  require(0 <= length && length <= length_, "a sequence of {} tokens cut to {}", length_, length);
  length_ = length;
  const auto num_kept = static_cast<size_t>(ceil_div(length, block_size_));
  while (blocks_.size() > num_kept) {
    pool.release(blocks_.back());
    blocks_.pop_back();
  }
}

BlockTable BlockTable::fork(BlockPool& pool) const {
  BlockTable child(block_size_);
  child.length_ = length_;
  child.blocks_.assign(blocks_.begin(), blocks_.begin() + ceil_div(length_, block_size_));
  for (const int32_t block : child.blocks_) pool.share(block);
  return child;
}
// endregion

}  // namespace llm
