// What the tests of the simulator share: arrays in device memory, schedules, and the sentences of failures.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/cuda/launch.h"
#include "common/simt/races.h"
#include "common/simt/traffic.h"

namespace llm::simt {

// Numbers in device memory, which begin as NaNs (or all bits set).
template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(size_t size) : size_(size) { CUDA_CHECK(cudaMalloc(&data_, size * sizeof(T))); }
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) {
    CUDA_CHECK(cudaMemcpy(data_, values.data(), size_ * sizeof(T), cudaMemcpyHostToDevice));
  }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  ~DeviceArray() { cudaFree(data_); }

  T* data() { return data_; }
  std::vector<T> values() const {
    std::vector<T> values(size_);
    CUDA_CHECK(cudaMemcpy(values.data(), data_, size_ * sizeof(T), cudaMemcpyDeviceToHost));
    return values;
  }

 private:
  size_t size_;
  T* data_ = nullptr;
};

// The forward schedule again when it goes.
class WithSchedule {
 public:
  explicit WithSchedule(Schedule schedule) { set_schedule(schedule); }
  WithSchedule(const WithSchedule&) = delete;
  WithSchedule& operator=(const WithSchedule&) = delete;
  ~WithSchedule() { set_schedule({}); }
};

// Runs `check` forward, in reverse and in some random orders.
template <class Check>
void in_every_order(Check check) {
  std::vector<Schedule> schedules = {{Order::forward, 0}, {Order::reverse, 0}};
  for (uint64_t seed = 0; seed < 5; ++seed) schedules.push_back({Order::random, seed});
  for (const Schedule& schedule : schedules) {
    SCOPED_TRACE(testing::Message() << "order " << static_cast<int>(schedule.order) << ", seed " << schedule.seed);
    const WithSchedule with(schedule);
    check();
  }
}

// What the KernelError says that `action` throws; "(no error)" where it throws none.
template <class Action>
std::string kernel_error_of(Action action) {
  try {
    action();
  } catch (const KernelError& error) {
    return error.what();
  }
  return "(no error)";
}

// Whether the sources are instrumented, so that accesses can be watched.
#if defined(__SANITIZE_THREAD__)
inline constexpr bool kInstrumented = true;
#else
inline constexpr bool kInstrumented = false;
#endif

#define SKIP_UNLESS_INSTRUMENTED() \
  if (!kInstrumented) GTEST_SKIP() << "this build's CUDA sources call no access hooks"

}  // namespace llm::simt
