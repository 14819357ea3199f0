#include "common/tensor/workspace.h"

#include <algorithm>

#include "common/tensor/device_memory.h"

namespace llm {

namespace {
constexpr size_t kSmallestChunk = size_t{1} << 20;
}  // namespace

TensorView Workspace::take(Shape shape, DType dtype) {
  TensorView view{nullptr, shape, dtype, device_};
  const size_t bytes = (view.nbytes() + kMemoryAlignment - 1) / kMemoryAlignment * kMemoryAlignment;
  while (chunk_ < chunks_.size() && used_ + bytes > chunks_[chunk_].view().nbytes()) {
    ++chunk_;
    used_ = 0;
  }
  if (chunk_ == chunks_.size()) {
    const size_t chunk_bytes = std::max({bytes, capacity(), kSmallestChunk});
    chunks_.emplace_back(Shape{static_cast<int64_t>(chunk_bytes / 4)}, DType::i32, device_);
    used_ = 0;
  }
  view.data = static_cast<char*>(chunks_[chunk_].view().data) + used_;
  used_ += bytes;
  return view;
}

void Workspace::reset() {
  if (chunks_.size() > 1) {  // one chunk of the whole size, so that the next step's takes stand side by side
    const size_t total = capacity();
    chunks_.clear();
    chunks_.emplace_back(Shape{static_cast<int64_t>(total / 4)}, DType::i32, device_);
  }
  chunk_ = 0;
  used_ = 0;
}

size_t Workspace::capacity() const {
  size_t total = 0;
  for (const Tensor& chunk : chunks_) total += chunk.view().nbytes();
  return total;
}

}  // namespace llm
