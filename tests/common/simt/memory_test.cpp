#include "common/simt/memory.h"

#include "tests/common/simt/kernel_test.h"

namespace llm::simt {
namespace {

TEST(Memory, IsAlignedAndPoisoned) {
  for (const size_t size : {1, 31, 33, 65, 4096, 100003}) {
    DeviceArray<float> array(size);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(array.data()) % 256, 0u);
    for (const float value : array.values()) ASSERT_TRUE(std::isnan(value));
  }
}

TEST(Memory, AnEmptyAllocationIsNull) {
  void* memory = &memory;
  EXPECT_EQ(cudaMalloc(&memory, 0), cudaSuccess);
  EXPECT_EQ(memory, nullptr);
  EXPECT_EQ(cudaFree(memory), cudaSuccess);
}

TEST(Memory, MoreThanThereIsIsRefused) {
  size_t free_bytes = 0, total_bytes = 0;
  EXPECT_EQ(cudaMemGetInfo(&free_bytes, &total_bytes), cudaSuccess);
  EXPECT_GT(free_bytes, 0u);
  EXPECT_LE(free_bytes, total_bytes);
  void* memory = nullptr;
  EXPECT_EQ(cudaMalloc(&memory, total_bytes * 2), cudaErrorMemoryAllocation);
  EXPECT_STREQ(cudaGetErrorString(cudaErrorMemoryAllocation), "out of memory");
}

TEST(Memory, WhatWasNotAllocatedIsNotFreed) {
  int on_the_host = 0;
  EXPECT_EQ(cudaFree(&on_the_host), cudaErrorInvalidValue);
  void* memory = nullptr;
  EXPECT_EQ(cudaMalloc(&memory, 64), cudaSuccess);
  EXPECT_EQ(cudaFree(static_cast<char*>(memory) + 16), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFree(memory), cudaSuccess);
  EXPECT_EQ(cudaFree(memory), cudaErrorInvalidValue);
}

TEST(Memory, UseIsCounted) {
  forget_peak();
  const size_t before = memory_use().now;
  EXPECT_EQ(memory_use().peak, before);
  DeviceArray<char> array(65);
  { DeviceArray<float> other(31); }
  EXPECT_EQ(memory_use().now, before + 65);
  EXPECT_EQ(memory_use().peak, before + 65 + 31 * sizeof(float));
  forget_peak();
  EXPECT_EQ(memory_use().peak, before + 65);
}

TEST(Memory, CopiesMustLieWithinAnAllocation) {
  DeviceArray<char> array(65), other(65);
  std::vector<char> host(200, 'x');
  EXPECT_EQ(cudaMemcpy(array.data(), host.data(), 65, cudaMemcpyHostToDevice), cudaSuccess);
  EXPECT_EQ(cudaMemcpy(array.data() + 64, host.data(), 1, cudaMemcpyHostToDevice), cudaSuccess);
  EXPECT_EQ(cudaMemcpy(array.data() + 65, host.data(), 0, cudaMemcpyHostToDevice), cudaSuccess);
  EXPECT_EQ(cudaMemcpy(array.data(), host.data(), 66, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(array.data() + 1, host.data(), 65, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(host.data(), array.data(), 66, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(other.data(), array.data(), 66, cudaMemcpyDeviceToDevice), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(host.data() + 100, host.data(), 65, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(array.data(), host.data(), 65, cudaMemcpyDeviceToDevice), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemset(array.data(), 3, 66), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemset(array.data(), 3, 65), cudaSuccess);
  EXPECT_EQ(array.values(), std::vector<char>(65, 3));
}

struct SmallStorage {
  float numbers_smem[33];
};

// An index one too far.
__global__ void overrun_kernel(float* global, int index, bool shared) {
  auto& smem = shared_storage<SmallStorage>();
  float* const numbers = shared ? smem.numbers_smem : global;
  numbers[index] = 1.0f;
}

void run_overrun(int index, bool shared) {
  DeviceArray<float> array(33);
  launch<overrun_kernel>({1, 1, sizeof(SmallStorage)}, array.data(), index, shared);
}

TEST(Memory, OverrunsAreFoundUnderAddressSanitizer) {
#if defined(__SANITIZE_ADDRESS__)
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(run_overrun(33, false), "heap-buffer-overflow.*(.|\n)*overrun_kernel.*memory_test.cpp");
  EXPECT_DEATH(run_overrun(-1, false), "heap-buffer-overflow.*(.|\n)*overrun_kernel.*memory_test.cpp");
  EXPECT_DEATH(run_overrun(33, true), "heap-buffer-overflow.*(.|\n)*overrun_kernel.*memory_test.cpp");
#else
  GTEST_SKIP() << "this build has no AddressSanitizer";
#endif
  run_overrun(32, false);
  run_overrun(32, true);
}

__global__ void read_kernel(const float* from, float* to) { to[threadIdx.x] = from[threadIdx.x]; }

TEST(Memory, WhatWasFreedFaults) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(
      {
        float* freed = nullptr;
        CUDA_CHECK(cudaMalloc(&freed, 128));
        CUDA_CHECK(cudaFree(freed));
        DeviceArray<float> to(32);
        launch<read_kernel>({1, 32}, freed, to.data());
      },
      "");
}

}  // namespace
}  // namespace llm::simt
