#include "common/tensor/tensor.h"

#include "common/tensor/device_memory.h"

namespace llm {

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
          shape);
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
  require(new_shape.numel() == numel(), "a tensor {} seen as {}", shape, new_shape);
  TensorView same = *this;
  same.shape = new_shape;
  return same;
}

Tensor::Tensor(Shape shape, DType dtype, Device device) {
  view_ = {nullptr, shape, dtype, device};
  memory_ = allocate(device, view_.nbytes());
  view_.data = memory_.get();
}

}  // namespace llm
