// out = x · weightᵀ for a few tokens in f32: reading the weight once from memory is most of the work there is.
#pragma once

#include "common/cuda/launch.h"
#include "common/cuda/numbers.cuh"
#include "common/cuda/ptx.cuh"
#include "common/cuda/warp.cuh"
#include "common/ops/swiglu_kernel.cuh"

namespace llm::LLM_GPU {

inline constexpr int kMaxFewRows = 8;           // of x
inline constexpr int kFewRowsOutputs = 4;       // of a block, for each row of x
inline constexpr int kFewRowsMaxThreads = 256;  // of a block

// Blocks on a multiprocessor: leaves 64 registers a thread, or 128 for the many sums of many rows.
constexpr int few_rows_blocks(int rows) { return rows < kMaxFewRows ? 4 : 2; }

template <class T>
struct FewRows {
  const T* x;  // [rows, in_features], in_features a multiple of 16 bytes
  int rows, in_features;
};

template <int Rows>
struct FewRowsStorage {
  // each warp's share of each row's outputs
  float partial_smem[Rows * kFewRowsOutputs][kFewRowsMaxThreads / kWarpSize];
};

// The products of x's rows, at most Rows, with kFewRowsOutputs rows of a weight, `row_of(r)` the r-th: thread
// t · kFewRowsOutputs + r returns that of x's row t with it. All threads of a block share each row, so that four
// numbers of x serve as many packs of weights, and every thread has as many 16-byte loads under way. Many small blocks
// on each multiprocessor hide each other's beginnings and ends. The order of a sum depends on in_features alone.
//   weight [out_features, in_features]
template <int Rows, class RowOf>
__device__ inline float multiply_rows(const float* weight, FewRows<float> x, RowOf row_of) {
  constexpr int kSums = Rows * kFewRowsOutputs;
  auto& smem = shared_storage<FewRowsStorage<Rows>>();
  const int thread = static_cast<int>(threadIdx.x), num_threads = static_cast<int>(blockDim.x);
  const int num_packs = x.in_features / 4;
  const auto* weight_packs = reinterpret_cast<const uint4*>(weight);
  const auto* x_packs = reinterpret_cast<const float4*>(x.x);

  float4 weight_rmem[kFewRowsOutputs];
  const auto load_column = [&](int pack) {
#pragma unroll
    for (int r = 0; r < kFewRowsOutputs; ++r) {
      const uint4 bits = load_streaming(weight_packs + static_cast<int64_t>(row_of(r)) * num_packs + pack);
      weight_rmem[r] = *reinterpret_cast<const float4*>(&bits);
    }
  };
  if (thread < num_packs) load_column(thread);
  wait_for_earlier_kernels();  // the weights are under way already; x comes from the kernel before

  float sums_rmem[kSums] = {};
  for (int pack = thread; pack < num_packs; pack += num_threads) {
    if (pack != thread) load_column(pack);
#pragma unroll
    for (int t = 0; t < Rows; ++t) {
      const float4 b = x_packs[min(t, x.rows - 1) * num_packs + pack];  // beyond the last row: that one, for nobody
#pragma unroll
      for (int r = 0; r < kFewRowsOutputs; ++r) {
        const float4 a = weight_rmem[r];
        float& sum = sums_rmem[t * kFewRowsOutputs + r];
        sum = fmaf(a.w, b.w, fmaf(a.z, b.z, fmaf(a.y, b.y, fmaf(a.x, b.x, sum))));
      }
    }
  }

  constexpr int kLanesPerSum = kWarpSize / kSums;
  const float warp_share = warp_sum_each<kSums>(sums_rmem);
  const int lane = thread % kWarpSize;
  if (lane % kLanesPerSum == 0) smem.partial_smem[lane / kLanesPerSum][thread / kWarpSize] = warp_share;
  __syncthreads();
  float sum = 0.0f;
  if (thread < kSums) {
    for (int warp = 0; warp < num_threads / kWarpSize; ++warp) sum += smem.partial_smem[thread][warp];
  }
  return sum;
}

// out = x · weightᵀ + bias. A block has kFewRowsOutputs outputs of each row.
//   bias [out_features] or null   out [rows, out_features]
template <int Rows>
__global__ void __launch_bounds__(kFewRowsMaxThreads, few_rows_blocks(Rows))
    few_rows_kernel(const float* weight, FewRows<float> x, const float* bias, int out_features, float* out) {
  const int first = static_cast<int>(blockIdx.x) * kFewRowsOutputs;
  // Beyond the last output: that one again, for nobody.
  const float sum = multiply_rows<Rows>(weight, x, [=](int r) { return min(first + r, out_features - 1); });
  const int row = static_cast<int>(threadIdx.x) / kFewRowsOutputs;
  const int output = first + static_cast<int>(threadIdx.x) % kFewRowsOutputs;
  if (row >= x.rows || output >= out_features) return;
  out[static_cast<int64_t>(row) * out_features + output] = bias == nullptr ? sum : sum + bias[output];
}

// out = silu(x · gateᵀ) · (x · upᵀ). A block has kFewRowsOutputs / 2 outputs of each row, each from a row of gate and
// one of up.
//   gate_up [2 · width, in_features], gate first   out [rows, width]
template <int Rows>
__global__ void __launch_bounds__(kFewRowsMaxThreads, few_rows_blocks(Rows))
    swiglu_few_rows_kernel(const float* gate_up, FewRows<float> x, int width, float* out) {
  constexpr int kOutputs = kFewRowsOutputs / 2;
  const int first = static_cast<int>(blockIdx.x) * kOutputs;
  const float sum = multiply_rows<Rows>(
      gate_up, x, [=](int r) { return min(first + r % kOutputs, width - 1) + (r < kOutputs ? 0 : width); });
  if (threadIdx.x >= kWarpSize) return;
  const float up = __shfl_down_sync(kFullWarp, sum, kOutputs);
  const int row = static_cast<int>(threadIdx.x) / kFewRowsOutputs;
  const int r = static_cast<int>(threadIdx.x) % kFewRowsOutputs;
  if (row >= x.rows || r >= kOutputs || first + r >= width) return;
  out[static_cast<int64_t>(row) * width + first + r] = swiglu(sum, up);
}

}  // namespace llm::LLM_GPU
