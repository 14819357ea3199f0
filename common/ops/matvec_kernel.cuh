// out = weight · x for one token: reading the weight once from memory is all the work there is.
#pragma once

#include "common/cuda/launch.h"
#include "common/cuda/numbers.cuh"
#include "common/cuda/ptx.cuh"
#include "common/cuda/warp.cuh"
#include "common/ops/swiglu_kernel.cuh"

namespace llm::LLM_GPU {

inline constexpr int kMatvecRows = 4;          // outputs of a block
inline constexpr int kMatvecMaxThreads = 256;  // of a block
inline constexpr int kMatvecBlocks = 4;        // on a multiprocessor: leaves 64 registers a thread

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

struct MatvecStorage {
  float partial_smem[kMatvecRows][kMatvecMaxThreads / kWarpSize];  // each warp's share of each output
};

// The products of x with kMatvecRows rows of a weight, `row_of(r)` the r-th: thread r returns it. All threads of a
// block share each row, so that a pack of x serves as many packs of weights, and every thread has as many 16-byte loads
// under way. Many small blocks on each multiprocessor hide each other's beginnings and ends.
//   weight [out_features, in_features], in_features a multiple of a pack   x [in_features]
template <class T, class RowOf>
__device__ inline float multiply_rows(const T* weight, const T* x, int in_features, RowOf row_of) {
  auto& smem = shared_storage<MatvecStorage>();
  const int thread = static_cast<int>(threadIdx.x), num_threads = static_cast<int>(blockDim.x);
  const int num_packs = in_features / kPackSize<T>;
  const auto* weight_packs = reinterpret_cast<const Pack<T, kPackSize<T>>*>(weight);
  const auto* x_packs = reinterpret_cast<const Pack<T, kPackSize<T>>*>(x);

  Pack<T, kPackSize<T>> weight_rmem[kMatvecRows];
  const auto load_column = [&](int pack) {
#pragma unroll
    for (int r = 0; r < kMatvecRows; ++r) {
      weight_rmem[r] = load_weights<T>(weight_packs + static_cast<int64_t>(row_of(r)) * num_packs + pack);
    }
  };
  if (thread < num_packs) load_column(thread);
  wait_for_earlier_kernels();  // the weights are under way already; x comes from the kernel before

  float sums_rmem[kMatvecRows] = {};
  for (int pack = thread; pack < num_packs; pack += num_threads) {
    if (pack != thread) load_column(pack);
    const Pack<T, kPackSize<T>> x_pack = x_packs[pack];
#pragma unroll
    for (int r = 0; r < kMatvecRows; ++r) sums_rmem[r] = dot<T>(weight_rmem[r], x_pack, sums_rmem[r]);
  }

#pragma unroll
  for (int r = 0; r < kMatvecRows; ++r) {
    const float warp_share = warp_sum(sums_rmem[r]);
    if (thread % kWarpSize == 0) smem.partial_smem[r][thread / kWarpSize] = warp_share;
  }
  __syncthreads();
  float sum = 0.0f;
  if (thread < kMatvecRows) {
    for (int warp = 0; warp < num_threads / kWarpSize; ++warp) sum += smem.partial_smem[thread][warp];
  }
  return sum;
}

// out = weight · x + bias. A block has kMatvecRows outputs.
//   bias [out_features] or null   out [out_features]
template <class T>
__global__ void __launch_bounds__(kMatvecMaxThreads, kMatvecBlocks)
    matvec_kernel(const T* weight, const T* x, const float* bias, int out_features, int in_features, float* out) {
  const int first_row = static_cast<int>(blockIdx.x) * kMatvecRows;
  // Beyond the last row: that row again, for nobody.
  const float sum =
      multiply_rows<T>(weight, x, in_features, [=](int r) { return min(first_row + r, out_features - 1); });
  const int row = first_row + static_cast<int>(threadIdx.x);
  if (threadIdx.x < kMatvecRows && row < out_features) out[row] = bias == nullptr ? sum : sum + bias[row];
}

// out = silu(gate · x) · (up · x). A block has kMatvecRows / 2 outputs, each a row of gate and one of up.
//   gate_up [2 · width, in_features], gate first   out [width]
template <class T>
__global__ void __launch_bounds__(kMatvecMaxThreads, kMatvecBlocks)
    swiglu_matvec_kernel(const T* gate_up, const T* x, int width, int in_features, T* out) {
  constexpr int kOutputs = kMatvecRows / 2;
  const int first_output = static_cast<int>(blockIdx.x) * kOutputs;
  const float sum = multiply_rows<T>(gate_up, x, in_features, [=](int r) {
    return min(first_output + r % kOutputs, width - 1) + (r < kOutputs ? 0 : width);
  });
  if (threadIdx.x >= kWarpSize) return;
  const float up = __shfl_down_sync(kFullWarp, sum, kOutputs);
  const int output = first_output + static_cast<int>(threadIdx.x);
  if (threadIdx.x < kOutputs && output < width) narrow(swiglu(sum, up), out[output]);
}

}  // namespace llm::LLM_GPU
