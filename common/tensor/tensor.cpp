#include "common/tensor/tensor.h"

#include <sys/mman.h>

#include <cstdlib>
#include <new>

namespace llm {

namespace {

constexpr size_t kAlignment = 256;  // cudaMalloc's own, and a multiple of any vector load
constexpr size_t kHugePage = size_t{2} << 20;

// Large arrays are read front to back at every step: huge pages spare them most address translations.
std::shared_ptr<void> allocate_cpu(size_t bytes) {
  const size_t alignment = bytes >= kHugePage ? kHugePage : kAlignment;
  const size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(alignment, rounded == 0 ? alignment : rounded);
  if (memory == nullptr) throw std::bad_alloc();
  if (alignment == kHugePage) madvise(memory, rounded, MADV_HUGEPAGE);  // a hint: failure costs nothing but speed
  return {memory, std::free};
}

}  // namespace

Shape::Shape(std::initializer_list<int64_t> dims) : rank_(static_cast<int>(dims.size())) {
  require(dims.size() <= kMaxRank, "a tensor of rank {}", dims.size());
  size_t i = 0;
  for (const int64_t dim : dims) {
    require(dim >= 0, "a tensor dimension of {}", dim);
    dims_[i++] = dim;
  }
}

int64_t Shape::numel() const {
  int64_t product = 1;
  for (int i = 0; i < rank_; ++i) product *= dims_[static_cast<size_t>(i)];
  return product;
}

std::string Shape::to_string() const {
  std::string text = "[";
  for (int i = 0; i < rank_; ++i) text += fmt::format("{}{}", i == 0 ? "" : ", ", dims_[static_cast<size_t>(i)]);
  return text + "]";
}

TensorView TensorView::rows(int64_t begin, int64_t end) const {
  require(shape.rank() >= 1 && 0 <= begin && begin <= end && end <= dim(0), "rows {}..{} of a tensor {}", begin, end,
          shape.to_string());
  TensorView part = *this;
  const int64_t row_size = dim(0) == 0 ? 0 : numel() / dim(0);
  part.data = static_cast<char*>(data) + static_cast<size_t>(begin * row_size) * size_of(dtype);
  switch (shape.rank()) {
    case 1:
      part.shape = {end - begin};
      break;
    case 2:
      part.shape = {end - begin, dim(1)};
      break;
    case 3:
      part.shape = {end - begin, dim(1), dim(2)};
      break;
    default:
      part.shape = {end - begin, dim(1), dim(2), dim(3)};
      break;
  }
  return part;
}

TensorView TensorView::reshaped(Shape new_shape) const {
  require(new_shape.numel() == numel(), "a tensor {} seen as {}", shape.to_string(), new_shape.to_string());
  TensorView same = *this;
  same.shape = new_shape;
  return same;
}

Tensor::Tensor(Shape shape, DType dtype, Device device) {
  require(device == Device::cpu, "no memory for device {}", name_of(device));
  view_ = {nullptr, shape, dtype, device};
  memory_ = allocate_cpu(view_.nbytes());
  view_.data = memory_.get();
}

}  // namespace llm
