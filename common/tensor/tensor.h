// Dense row-major arrays: Tensor owns its memory, TensorView points into somebody's.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>

#include "common/error.h"
#include "common/tensor/dtype.h"

namespace llm {

enum class Device : uint8_t { cpu, simt, cuda };

constexpr const char* name_of(Device device) {
  return device == Device::cpu ? "cpu" : device == Device::simt ? "simt" : "cuda";
}

// Up to four dimensions, outermost first.
class Shape {
 public:
  static constexpr int kMaxRank = 4;

  Shape() = default;
  Shape(std::initializer_list<int64_t> dims);

  int rank() const { return rank_; }
  int64_t operator[](int i) const { return dims_[static_cast<size_t>(i)]; }
  int64_t numel() const;          // 1 for rank 0
  std::string to_string() const;  // "[3, 4]"
  bool operator==(const Shape&) const = default;

 private:
  std::array<int64_t, kMaxRank> dims_{};
  int rank_ = 0;
};

}  // namespace llm

// So that a message takes a Shape as it is: its text is made only where the message is.
template <>
struct fmt::formatter<llm::Shape> : fmt::formatter<std::string> {
  template <class Context>
  auto format(const llm::Shape& shape, Context& context) const {
    return fmt::formatter<std::string>::format(shape.to_string(), context);
  }
};

namespace llm {

// A contiguous array somewhere on a device. As with std::span, a const view still lets its elements be written.
struct TensorView {
  void* data = nullptr;
  Shape shape;
  DType dtype = DType::f32;
  Device device = Device::cpu;

  bool empty() const { return data == nullptr || numel() == 0; }
  int64_t dim(int i) const { return shape[i]; }
  int64_t numel() const { return shape.numel(); }
  size_t nbytes() const { return static_cast<size_t>(numel()) * size_of(dtype); }

  // The elements as T, which must be the view's dtype.
  template <class T>
  T* as() const {
    require(dtype == dtype_of<T>, "a {} tensor read as {}", name_of(dtype), name_of(dtype_of<T>));
    return static_cast<T*>(data);
  }

  // Rows [begin, end) of the outermost dimension.
  TensorView rows(int64_t begin, int64_t end) const;
  // The same elements under another shape of the same size.
  TensorView reshaped(Shape new_shape) const;
};

using Int32View = TensorView;  // dtype i32

// Owns device memory; copies share it. Fresh memory is not cleared and begins at a multiple of 256 bytes.
class Tensor {
 public:
  Tensor() = default;
  Tensor(Shape shape, DType dtype, Device device = Device::cpu);
  // What `view` shows, which `memory` keeps alive: a part of a mapped file.
  Tensor(TensorView view, std::shared_ptr<void> memory) : memory_(std::move(memory)), view_(view) {}

  TensorView view() const { return view_; }
  operator TensorView() const { return view_; }  // NOLINT: a Tensor is used wherever a view is asked for
  bool empty() const { return view_.empty(); }

 private:
  std::shared_ptr<void> memory_;
  TensorView view_;
};

}  // namespace llm
