#include "common/simt/launch.h"

#include "tests/common/simt/kernel_test.h"

namespace llm::simt {
namespace {

__global__ void nothing_kernel() {}
template <class T, int N>
__global__ void typed_kernel(T*) {}

TEST(Launch, NamesTheKernel) {
  EXPECT_EQ(kernel_name("static void llm::simt::Launcher<kernel>::launch(const llm::simt::LaunchConfig&, Params ...) "
                        "[with Params = {const float*, int}; void (* kernel)(Params ...) = "
                        "llm::simt::{anonymous}::attend_kernel<llm::bf16, llm::simt::<unnamed>::Kind::wide>]"),
            "attend_kernel<bf16, Kind::wide>");
  EXPECT_EQ(kernel_name("static void llm::simt::Launcher<kernel>::launch(const LaunchConfig &, Params...) [kernel = "
                        "&llm::simt::(anonymous namespace)::attend_kernel<float, 8>]"),
            "attend_kernel<float, 8>");
  EXPECT_EQ(kernel_error_of([] {
              launch<typed_kernel<float, 3>>({1, 1025}, nullptr);
            }),
            "kernel typed_kernel<float, 3>: a block of 1025 x 1 x 1 threads; 1 to 1024 are possible, and 64 at most in "
            "z");
}

TEST(Launch, RefusesWhatADeviceRefuses) {
  const auto error_of = [](dim3 grid, dim3 block, size_t smem) {
    return kernel_error_of([&] { launch<nothing_kernel>({grid, block, smem}); });
  };
  EXPECT_EQ(error_of({1}, {1024}, kMaxSharedBytes), "(no error)");
  EXPECT_EQ(error_of({1}, {1, 1, 65}, 0),
            "kernel nothing_kernel: a block of 1 x 1 x 65 threads; 1 to 1024 are possible, and 64 at most in z");
  EXPECT_EQ(error_of({1}, {32, 0, 1}, 0),
            "kernel nothing_kernel: a block of 32 x 0 x 1 threads; 1 to 1024 are possible, and 64 at most in z");
  EXPECT_EQ(error_of({1, 65536}, {32}, 0),
            "kernel nothing_kernel: a grid of 1 x 65536 x 1 blocks; 1 to 2147483647 x 65535 x 65535 are possible");
  EXPECT_EQ(error_of({1}, {32}, kMaxSharedBytes + 1),
            "kernel nothing_kernel: 232449 bytes of shared memory a block; 232448 are possible");
}

__global__ void launching_kernel() { launch<nothing_kernel>({1, 1}); }

TEST(Launch, RefusesAKernelWithinAKernel) {
  EXPECT_EQ(kernel_error_of([] {
              launch<launching_kernel>({1, 1});
            }),
            "kernel nothing_kernel: started from within a kernel, which is not simulated");
}

struct ReadStorage {
  float numbers_smem[33];
};

__global__ void read_shared_kernel(float* out) {
  auto& smem = shared_storage<ReadStorage>();
  for (unsigned i = threadIdx.x; i < 33; i += blockDim.x) {
    out[blockIdx.x * 33 + i] = smem.numbers_smem[i];
    smem.numbers_smem[i] = 1.0f;
  }
}

TEST(Launch, SharedMemoryIsPoisonedForEveryBlock) {
  DeviceArray<float> out(std::vector<float>(3 * 33, 0.0f));
  launch<read_shared_kernel>({3, 32, sizeof(ReadStorage)}, out.data());
  for (const float value : out.values()) EXPECT_TRUE(std::isnan(value));
}

TEST(Launch, SharedMemoryMustBeAskedFor) {
  DeviceArray<float> out(33);
  EXPECT_EQ(kernel_error_of([&] {
              launch<read_shared_kernel>({1, 32, sizeof(ReadStorage) - 4}, out.data());
            }),
            "kernel read_shared_kernel, block (0, 0, 0): 132 bytes of shared memory are used, but the launch gave 128");
  EXPECT_EQ(kernel_error_of([&] {
              launch<read_shared_kernel>({1, 32}, out.data());
            }),
            "kernel read_shared_kernel, block (0, 0, 0): 132 bytes of shared memory are used, but the launch gave 0");
}

}  // namespace
}  // namespace llm::simt
