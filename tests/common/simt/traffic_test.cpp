#include "common/simt/traffic.h"

#include "common/cuda/ptx.cuh"
#include "tests/common/simt/kernel_test.h"

namespace llm::simt {
namespace {

// The counts of what `work` launches, in a build that can tell.
struct Traffic : testing::Test {
  void SetUp() override {
    SKIP_UNLESS_INSTRUMENTED();
    reset_counts();
    count_traffic(true);
  }
  void TearDown() override {
    count_traffic(false);
    reset_counts();
  }
};

MemoryCounts memory(uint64_t requests, uint64_t sectors, uint64_t bytes) { return {requests, sectors, bytes}; }

}  // namespace

bool operator==(const MemoryCounts& a, const MemoryCounts& b) {
  return a.requests == b.requests && a.sectors == b.sectors && a.bytes == b.bytes;
}
void PrintTo(const MemoryCounts& counts, std::ostream* stream) {
  *stream << counts.requests << " requests, " << counts.sectors << " sectors, " << counts.bytes << " bytes";
}

namespace {

// Lane i loads number i · stride + offset; what it found goes to out[i].
template <class T>
__global__ void load_kernel(const T* from, int stride, int offset, float* out) {
  const int thread = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  const T value = from[thread * stride + offset];
  out[thread] = *reinterpret_cast<const float*>(&value);
}

template <class T>
MemoryCounts loads(unsigned blocks, unsigned threads, int stride, int offset) {
  const size_t size = size_t{blocks} * threads;
  DeviceArray<T> from(size * static_cast<size_t>(stride + 1) + static_cast<size_t>(offset));
  DeviceArray<float> out(size);
  reset_counts();
  launch<load_kernel<T>>({blocks, threads}, from.data(), stride, offset, out.data());
  EXPECT_EQ(counts().size(), 1u);
  const KernelCounts& count = counts().begin()->second;
  EXPECT_EQ(count.launches, 1u);
  EXPECT_EQ(count.blocks, blocks);
  EXPECT_FALSE(count.library);
  EXPECT_EQ(count.stores, memory(blocks * ((threads + 31) / 32), blocks * ((threads * 4 + 31) / 32), size * 4));
  return count.loads;
}

TEST_F(Traffic, SectorsOfAWarp) {
  EXPECT_EQ(loads<float>(1, 32, 1, 0), memory(1, 4, 128)) << "coalesced: 128 bytes side by side";
  EXPECT_EQ(loads<float>(1, 32, 8, 0), memory(1, 32, 128)) << "32 bytes apart: a sector each";
  EXPECT_EQ(loads<float>(1, 32, 2, 0), memory(1, 8, 128)) << "8 bytes apart: half of every sector";
  EXPECT_EQ(loads<float>(1, 32, 0, 0), memory(1, 1, 128)) << "broadcast";
  EXPECT_EQ(loads<float>(1, 32, 1, 1), memory(1, 5, 128)) << "4 bytes past a sector's beginning";
  EXPECT_EQ(loads<uint4>(1, 32, 1, 0), memory(1, 16, 512)) << "16 bytes a lane";
  EXPECT_EQ(loads<float2>(1, 32, 1, 0), memory(1, 8, 256)) << "8 bytes a lane";
  EXPECT_EQ(loads<float>(1, 1, 1, 0), memory(1, 1, 4)) << "one lane";
  EXPECT_EQ(loads<float>(1, 33, 1, 0), memory(2, 5, 132)) << "a second warp of one lane";
  EXPECT_EQ(loads<float>(3, 64, 1, 0), memory(6, 24, 768)) << "6 warps";
}

// Lane i goes round i % 4 + 1 times: the warp's first time has 32 lanes, its fourth has 8.
__global__ void uneven_kernel(const float* from, float* out) {
  float sum = 0.0f;
  for (unsigned i = 0; i < threadIdx.x % 4 + 1; ++i) sum += from[i * 32 + threadIdx.x];
  out[threadIdx.x] = sum;
}

TEST_F(Traffic, LanesAreGroupedByOccurrence) {
  in_every_order([] {
    DeviceArray<float> from(std::vector<float>(4 * 32, 1.0f)), out(32);
    reset_counts();
    launch<uneven_kernel>({1, 32}, from.data(), out.data());
    EXPECT_EQ(counts().at("uneven_kernel").loads, memory(4, 16, (32 + 24 + 16 + 8) * 4));
    EXPECT_EQ(counts().at("uneven_kernel").stores, memory(1, 4, 128));
  });
}

// As every kernel of the model is: 16-byte loads, a sum over the warp, in rounds.
__global__ void sum_kernel(const uint4* from, int rounds, unsigned* out) {
  unsigned total = 0;
  for (int i = 0; i < rounds; ++i) {
    const uint4 pack = load_streaming(from + i * 32 + static_cast<int>(threadIdx.x));
    total += __reduce_add_sync(0xffffffff, pack.x + pack.y + pack.z + pack.w);
  }
  __syncthreads();
  if (threadIdx.x == 0) out[blockIdx.x] = total;
}

TEST_F(Traffic, AccumulatesOverBlocksAndLaunches) {
  in_every_order([] {
    DeviceArray<uint4> from(std::vector<uint4>(7 * 32, uint4{1, 2, 3, 4}));
    DeviceArray<unsigned> out(5);
    reset_counts();
    for (int launches = 0; launches < 2; ++launches) launch<sum_kernel>({5, 32}, from.data(), 7, out.data());
    EXPECT_EQ(out.values(), std::vector<unsigned>(5, 7 * 32 * 10));
    const KernelCounts& count = counts().at("sum_kernel");
    EXPECT_EQ(count.launches, 2u);
    EXPECT_EQ(count.blocks, 10u);
    EXPECT_EQ(count.barriers, 10u);
    EXPECT_EQ(count.loads, memory(10 * 7, 10 * 7 * 16, 10 * 7 * 512));
    EXPECT_EQ(count.stores, memory(10, 10, 40));
  });
}

struct TileStorage {
  alignas(16) float tile_smem[128];
};

// 32 lanes copy 16 bytes each; what goes on in shared memory is no traffic.
__global__ void async_kernel(const float* from, float* out) {
  auto& smem = shared_storage<TileStorage>();
  cp_async<16>(smem.tile_smem + 4 * threadIdx.x, from + 4 * threadIdx.x);
  cp_async_commit();
  cp_async_wait<0>();
  __syncthreads();
  out[threadIdx.x] = smem.tile_smem[127 - threadIdx.x];
}

__global__ void atomic_kernel(int* count) { atomicAdd(count, 1); }

TEST_F(Traffic, SeesAsyncCopiesAndAtomics) {
  DeviceArray<float> from(std::vector<float>(128, 1.0f)), out(32);
  launch<async_kernel>({1, 32, sizeof(TileStorage)}, from.data(), out.data());
  EXPECT_EQ(counts().at("async_kernel").loads, memory(1, 16, 512));
  EXPECT_EQ(counts().at("async_kernel").stores, memory(1, 4, 128));
  DeviceArray<int> count(std::vector<int>{0});
  launch<atomic_kernel>({1, 32}, count.data());
  EXPECT_EQ(counts().at("atomic_kernel").loads, memory(1, 1, 128));
  EXPECT_EQ(counts().at("atomic_kernel").stores, memory(1, 1, 128));
}

TEST_F(Traffic, ProductsOfCublasCountTheirOperandsOnce) {
  DeviceArray<__nv_bfloat16> a(5 * 7), b(7 * 3);
  DeviceArray<float> c(5 * 3);
  cublasHandle_t cublas = nullptr;
  CUDA_CHECK(cublasCreate(&cublas));
  const float alpha = 1.0f, beta = 0.0f;
  CUDA_CHECK(cublasGemmEx(cublas, CUBLAS_OP_N, CUBLAS_OP_N, 5, 3, 7, &alpha, a.data(), CUDA_R_16BF, 5, b.data(),
                          CUDA_R_16BF, 7, &beta, c.data(), CUDA_R_32F, 5, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
  CUDA_CHECK(cublasDestroy(cublas));
  const KernelCounts& count = counts().at("cublasGemmEx");
  EXPECT_TRUE(count.library);
  EXPECT_EQ(count.launches, 1u);
  EXPECT_EQ(count.loads, memory(0, 4, (5 * 7 + 7 * 3) * 2));  // 112 bytes
  EXPECT_EQ(count.stores, memory(0, 2, 5 * 3 * 4));           // 60 bytes
}

TEST_F(Traffic, NothingIsCountedWhenItIsOff) {
  count_traffic(false);
  DeviceArray<float> from(32), out(32);
  launch<load_kernel<float>>({1, 32}, from.data(), 1, 0, out.data());
  EXPECT_TRUE(counts().empty());
}

}  // namespace
}  // namespace llm::simt
