// Sums and maxima over the threads of a warp and of a block.
#pragma once

#include "common/cuda/runtime.h"

namespace llm::LLM_GPU {

inline constexpr int kWarpSize = 32;
inline constexpr unsigned kFullWarp = 0xffffffffu;

// In every lane the sum over all lanes.
__device__ inline float warp_sum(float value) {
  for (int offset = kWarpSize / 2; offset > 0; offset /= 2) value += __shfl_xor_sync(kFullWarp, value, offset);
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
