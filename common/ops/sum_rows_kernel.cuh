// The sum of each row: one block a row, whose threads keep several wide loads under way.
#pragma once

#include "common/cuda/launch.h"
#include "common/cuda/numbers.cuh"
#include "common/cuda/ptx.cuh"
#include "common/cuda/warp.cuh"

namespace llm::LLM_GPU {

inline constexpr int kSumThreads = 256;
inline constexpr int kSumUnroll = 8;  // loads a thread has under way at once

struct SumRowsStorage {
  float partial_smem[kSumThreads / kWarpSize];
};

// N numbers side by side (4, or 1 where rows do not begin at a multiple of 16 bytes) in one load.
//   x [rows, N · num_packs]   out [rows]
template <int N>
__global__ void sum_rows_kernel(const Pack<float, N>* x, int num_packs, float* out) {
  auto& smem = shared_storage<SumRowsStorage>();
  wait_for_earlier_kernels();
  const Pack<float, N>* row = x + static_cast<int64_t>(blockIdx.x) * num_packs;
  float sum = 0.0f;
  for (int first = static_cast<int>(threadIdx.x); first < num_packs; first += kSumUnroll * kSumThreads) {
    // Beyond the end of the row the last pack is loaded again and counts for nothing: no branch stands before a load.
    Pack<float, N> x_rmem[kSumUnroll];
#pragma unroll
    for (int u = 0; u < kSumUnroll; ++u) x_rmem[u] = row[min(first + u * kSumThreads, num_packs - 1)];
#pragma unroll
    for (int u = 0; u < kSumUnroll; ++u) {
      if (first + u * kSumThreads >= num_packs) continue;
#pragma unroll
      for (int i = 0; i < N; ++i) sum += x_rmem[u].values[i];
    }
  }
  sum = block_sum(sum, smem.partial_smem);
  if (threadIdx.x == 0) out[blockIdx.x] = sum;
}

}  // namespace llm::LLM_GPU
