// A list of 32-bit integers of fixed capacity that a step's kernels read: tokens, positions, slots, tables.
#pragma once

#include <initializer_list>
#include <span>
#include <vector>

#include "common/tensor/device_memory.h"

namespace llm {

// Written by the host; `upload_lists` brings it to the device that reads it. Its addresses never change, so a captured
// CUDA graph finds it where it was.
class Int32Buffer {
 public:
  explicit Int32Buffer(int64_t capacity, Device device = Device::cpu)
      : host_({nullptr, {capacity}, DType::i32, Device::cpu}, nullptr), device_(device) {
    const auto memory = allocate_staging(device, static_cast<size_t>(capacity) * sizeof(int32_t));
    host_ = Tensor({memory.get(), {capacity}, DType::i32, Device::cpu}, memory);
    on_device_ = device == Device::cpu ? host_ : Tensor({capacity}, DType::i32, device);
  }

  void clear() { size_ = 0; }
  void push_back(int32_t value) {
    require(size_ < capacity(), "a buffer of {} integers is full", capacity());
    host()[size_++] = value;
  }
  // What is new in it may be anything until it is written, here or by the device.
  void resize(int64_t size) {
    require(0 <= size && size <= capacity(), "{} integers in a buffer of {}", size, capacity());
    size_ = size;
  }
  void assign(std::span<const int32_t> values) {
    clear();
    for (const int32_t value : values) push_back(value);
  }

  int64_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  int64_t capacity() const { return host_.view().dim(0); }
  int32_t operator[](int64_t i) const { return host()[i]; }
  int32_t& operator[](int64_t i) { return host()[i]; }
  std::span<const int32_t> values() const { return {host(), static_cast<size_t>(size_)}; }

  Int32View view() const { return on_device_.view().rows(0, size_); }  // [size] on the device

 private:
  friend void upload_lists(std::initializer_list<const Int32Buffer*> buffers);

  int32_t* host() const { return static_cast<int32_t*>(host_.view().data); }

  Tensor host_, on_device_;
  Device device_;
  int64_t size_ = 0;
};

// Several buffers to their device. Write to them only after the device has read them.
inline void upload_lists(std::initializer_list<const Int32Buffer*> buffers) {
  std::vector<WordList> lists;
  for (const Int32Buffer* buffer : buffers) {
    lists.push_back({static_cast<uint32_t*>(buffer->on_device_.view().data),
                     reinterpret_cast<const uint32_t*>(buffer->host()), static_cast<int>(buffer->size())});
  }
  copy_lists((*buffers.begin())->device_, lists);
}

// Integers that a device's kernels write straight to the host's memory: a copy of a few would take longer to start than
// to run.
class Int32Results {
 public:
  explicit Int32Results(int64_t capacity, Device device = Device::cpu)
      : memory_(allocate_staging(device, static_cast<size_t>(capacity) * sizeof(int32_t))),
        view_{memory_.get(), {capacity}, DType::i32, device} {}

  Int32View view(int64_t size) const { return view_.rows(0, size); }  // [size] for the device to write
  // What it wrote; waits for that.
  std::span<const int32_t> read(int64_t size) const {
    synchronize(view_.device);
    return {static_cast<const int32_t*>(memory_.get()), static_cast<size_t>(size)};
  }

 private:
  std::shared_ptr<void> memory_;
  TensorView view_;
};

}  // namespace llm
