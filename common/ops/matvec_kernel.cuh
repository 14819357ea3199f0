// out = weight · x for one token: reading the weight once from memory is all the work there is.
#pragma once

#include "common/cuda/numbers.cuh"
#include "common/cuda/ptx.cuh"
#include "common/cuda/warp.cuh"

namespace llm::LLM_GPU {

inline constexpr int kMatvecWarps = 8;   // a block
inline constexpr int kMatvecUnroll = 4;  // 16-byte loads a lane has under way at once

template <class T>
__device__ inline float dot(const Pack<T, kPackSize<T>>& a, const Pack<T, kPackSize<T>>& b, float sum) {
#pragma unroll
  for (int i = 0; i < kPackSize<T>; ++i) sum = fmaf(widen(a.values[i]), widen(b.values[i]), sum);
  return sum;
}

template <class T>
__device__ inline Pack<T, kPackSize<T>> load_weights(const Pack<T, kPackSize<T>>* p) {
  const uint4 bits = load_streaming(reinterpret_cast<const uint4*>(p));
  return *reinterpret_cast<const Pack<T, kPackSize<T>>*>(&bits);
}

// One warp an output. A lane takes every 32nd pack of 16 bytes, so that a warp reads 512 bytes side by side.
//   weight [out_features, in_features], in_features a multiple of a pack   x [in_features]
//   bias [out_features] or null   out [out_features]
template <class T>
__global__ void matvec_kernel(const T* weight, const T* x, const float* bias, int out_features, int in_features,
                              float* out) {
  const int row = static_cast<int>(blockIdx.x * blockDim.y + threadIdx.y);
  if (row >= out_features) return wait_for_earlier_kernels();
  const int lane = static_cast<int>(threadIdx.x);
  const int num_packs = in_features / kPackSize<T>;
  const auto* weight_packs =
      reinterpret_cast<const Pack<T, kPackSize<T>>*>(weight) + static_cast<int64_t>(row) * num_packs;
  const auto* x_packs = reinterpret_cast<const Pack<T, kPackSize<T>>*>(x);

  // Beyond the end of a row the last pack is loaded again and counts for nothing: loads that no branch stands before
  // can all be under way at once.
  Pack<T, kPackSize<T>> weight_rmem[kMatvecUnroll];
  const auto load = [&](int first) {
#pragma unroll
    for (int u = 0; u < kMatvecUnroll; ++u) {
      weight_rmem[u] = load_weights<T>(weight_packs + min(first + u * kWarpSize, num_packs - 1));
    }
  };
  load(lane);
  wait_for_earlier_kernels();  // the weights were under way already; x comes from the kernel before

  float sum = 0.0f;
  for (int first = lane; first - lane < num_packs; first += kMatvecUnroll * kWarpSize) {
    if (first != lane) load(first);
#pragma unroll
    for (int u = 0; u < kMatvecUnroll; ++u) {
      const int i = first + u * kWarpSize;
      if (i < num_packs) sum = dot<T>(weight_rmem[u], x_packs[i], sum);
    }
  }

  sum = warp_sum(sum);
  if (lane == 0) out[row] = bias == nullptr ? sum : sum + bias[row];
}

}  // namespace llm::LLM_GPU
