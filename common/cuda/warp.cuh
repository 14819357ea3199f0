// Sums and maxima over the threads of a warp and of a block.
#pragma once

#include "common/cuda/runtime.h"

namespace llm::LLM_GPU {

inline constexpr int kWarpSize = 32;
inline constexpr unsigned kFullWarp = 0xffffffffu;

// In every lane the sum over all lanes.
template <class T>
__device__ T warp_sum(T value) {
  for (int offset = kWarpSize / 2; offset > 0; offset /= 2) value += __shfl_xor_sync(kFullWarp, value, offset);
  return value;
}

// Sums over the lanes of each of N values, N a power of two up to 32: lane l returns that of value l · N / 32, with the
// bits of warp_sum. Lanes hand each other the halves that they have no use for, so that N sums take N − 1 exchanges and
// log2(32 / N) more. `values` is used up.
template <int N, int Offset = kWarpSize / 2>
__device__ float warp_sum_each(float* values) {
  if constexpr (N == 1) {
    float value = values[0];
    for (int offset = Offset; offset > 0; offset /= 2) value += __shfl_xor_sync(kFullWarp, value, offset);
    return value;
  } else {
    const bool upper = (threadIdx.x & Offset) != 0;
#pragma unroll
    for (int i = 0; i < N / 2; ++i) {
      const float kept = upper ? values[i + N / 2] : values[i], given = upper ? values[i] : values[i + N / 2];
      values[i] = kept + __shfl_xor_sync(kFullWarp, given, Offset);
    }
    return warp_sum_each<N / 2, Offset / 2>(values);
  }
}

// In every lane the largest value of any.
__device__ inline float warp_max(float value) {
  for (int offset = kWarpSize / 2; offset > 0; offset /= 2) {
    value = fmaxf(value, __shfl_xor_sync(kFullWarp, value, offset));
  }
  return value;
}

// In every lane the sum over the lanes up to it.
template <class T>
__device__ T warp_running_sum(T value) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  for (int offset = 1; offset < kWarpSize; offset *= 2) {
    const T before = __shfl_up_sync(kFullWarp, value, static_cast<unsigned>(offset));
    if (lane >= offset) value += before;
  }
  return value;
}

// In every thread the sum over the block. `partial_smem` [warps] is free again after the next barrier.
__device__ inline float block_sum(float value, float* partial_smem) {
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize, lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int num_warps = static_cast<int>(blockDim.x) / kWarpSize;
  value = warp_sum(value);
  if (lane == 0) partial_smem[warp] = value;
  __syncthreads();
  return warp_sum(lane < num_warps ? partial_smem[lane] : 0.0f);
}

}  // namespace llm::LLM_GPU
