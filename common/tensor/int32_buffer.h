// A list of 32-bit integers of fixed capacity that a step's kernels read: tokens, positions, slots, tables.
#pragma once

#include <span>

#include "common/tensor/tensor.h"

namespace llm {

// Its address never changes, so a captured CUDA graph finds it where it was.
class Int32Buffer {
 public:
  explicit Int32Buffer(int64_t capacity) : storage_({capacity}, DType::i32) {}

  void clear() { size_ = 0; }
  void push_back(int32_t value) {
    require(size_ < capacity(), "a buffer of {} integers is full", capacity());
    host()[size_++] = value;
  }
  void assign(std::span<const int32_t> values) {
    clear();
    for (const int32_t value : values) push_back(value);
  }

  int64_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  int64_t capacity() const { return storage_.view().dim(0); }
  int32_t operator[](int64_t i) const { return host()[i]; }
  int32_t& operator[](int64_t i) { return host()[i]; }
  std::span<const int32_t> values() const { return {host(), static_cast<size_t>(size_)}; }

  Int32View view() const { return storage_.view().rows(0, size_); }  // [size]

 private:
  int32_t* host() const { return static_cast<int32_t*>(storage_.view().data); }

  Tensor storage_;
  int64_t size_ = 0;
};

}  // namespace llm
