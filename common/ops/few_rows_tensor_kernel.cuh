// out = x · weightᵀ for a few tokens in bf16, on tensor cores, where eight tokens cost what one does: the weight is
// read once, and the rest is free.
#pragma once

#include "common/cuda/launch.h"
#include "common/cuda/numbers.cuh"
#include "common/cuda/ptx.cuh"
#include "common/cuda/warp.cuh"
#include "common/ops/few_rows_kernel.cuh"
#include "common/ops/swiglu_kernel.cuh"

namespace llm::LLM_GPU {

inline constexpr int kTileOutputs = 16;   // of a block, for each of kMaxFewRows rows of x
inline constexpr int kTileMaxWarps = 16;  // of a block
inline constexpr int kTileBlocks = 1;     // on a multiprocessor, at least: as many registers as loads want
inline constexpr int kTileSteps = 2;      // of a warp, whose weights are under way together
inline constexpr int kTileStepPacks = 8;  // of each row in a step, 16 bytes each: a line of memory

struct FewRowsTileStorage {
  float4 partial_smem[kTileMaxWarps][kWarpSize];
};

// The products of x's rows with kTileOutputs rows of a weight, `row_of(r)` the r-th. Lanes of warp 0 return four: with
// r = lane / 8 + (lane / 4 % 2) · 8 and t = lane % 4, those of row r with x's rows 2t and 2t + 1, then of row r + 4.
//
// A sum over k may take its terms in any order that is the same on both sides. So a lane loads eight neighboring
// numbers of its rows at once and hands them to two products as columns that lie apart there; they need not be
// rearranged. Eight lanes read a row's whole line, which memory gives faster than halves of two: of a product's rows,
// those of even number hold the line's first half of k, and those of odd number the second half of the same row. x's
// halves take turns, each with all rows, and each row's sum is kept where the halves agree.
//   weight [out_features, in_features]
template <class RowOf>
__device__ inline float4 multiply_tile(const __nv_bfloat16* weight, FewRows<__nv_bfloat16> x, RowOf row_of) {
  auto& smem = shared_storage<FewRowsTileStorage>();
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize, g = lane / 4, half = g % 2, t = lane % 4;
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize, num_warps = static_cast<int>(blockDim.x) / kWarpSize;
  const int64_t num_packs = x.in_features / kPackSize<__nv_bfloat16>;
  const auto* weight_packs = reinterpret_cast<const uint4*>(weight);
  const auto* x_row = reinterpret_cast<const uint4*>(x.x) + g * num_packs;
  const uint4* rows[4];
#pragma unroll
  for (int j = 0; j < 4; ++j) rows[j] = weight_packs + row_of(g / 2 + 4 * j) * num_packs;

  uint4 weight_rmem[kTileSteps][4];
  const auto load_weights = [&](int64_t begin) {
#pragma unroll
    for (int i = 0; i < kTileSteps; ++i) {
      const int64_t pack = begin + i * kTileStepPacks + half * 4 + t;
#pragma unroll
      for (int j = 0; j < 4; ++j) weight_rmem[i][j] = pack < num_packs ? load_streaming(rows[j] + pack) : uint4{};
    }
  };
  constexpr int kWarpPacks = kTileSteps * kTileStepPacks;
  const int64_t first = warp * kWarpPacks;
  load_weights(first);
  wait_for_earlier_kernels();  // the weights are under way already; x comes from the kernel before

  float acc_rmem[2][2][4] = {};  // of rows 0 to 7 and 8 to 15; of x's first and second half of each line
  for (int64_t begin = first; begin < num_packs; begin += num_warps * kWarpPacks) {
    if (begin != first) load_weights(begin);
#pragma unroll
    for (int i = 0; i < kTileSteps; ++i) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const int64_t pack = begin + i * kTileStepPacks + h * 4 + t;
        const uint4 x_rmem = g < x.rows && pack < num_packs ? x_row[pack] : uint4{};
#pragma unroll
        for (int tile = 0; tile < 2; ++tile) {
          const uint4 low = weight_rmem[i][2 * tile], high = weight_rmem[i][2 * tile + 1];
          float(&acc)[4] = acc_rmem[tile][h];
          mma_m16n8k16<__nv_bfloat16>(acc, {low.x, high.x, low.y, high.y}, {x_rmem.x, x_rmem.y});
          mma_m16n8k16<__nv_bfloat16>(acc, {low.z, high.z, low.w, high.w}, {x_rmem.z, x_rmem.w});
        }
      }
    }
  }

  // Even groups of four lanes have the first halves' sums of both tiles, odd ones the second halves': each hands over
  // one tile's and completes the other's.
  const auto complete = [&](int i) {
    const float tile0 = half == 0 ? acc_rmem[0][0][i] : acc_rmem[0][1][i];
    const float tile1 = half == 0 ? acc_rmem[1][0][i] : acc_rmem[1][1][i];
    return (half == 0 ? tile0 : tile1) + __shfl_xor_sync(kFullWarp, half == 0 ? tile1 : tile0, 4);
  };
  smem.partial_smem[warp][lane] = {complete(0), complete(1), complete(2), complete(3)};
  __syncthreads();
  float4 sum{};
  for (int w = 0; warp == 0 && w < num_warps; ++w) {
    const float4 part = smem.partial_smem[w][lane];
    sum = {sum.x + part.x, sum.y + part.y, sum.z + part.z, sum.w + part.w};
  }
  return sum;
}

// out = x · weightᵀ + bias. A block has kTileOutputs outputs of each row.
//   bias [out_features] or null   out [rows, out_features]
__global__ void __launch_bounds__(kTileMaxWarps* kWarpSize, kTileBlocks)
    few_rows_tensor_kernel(const __nv_bfloat16* weight, FewRows<__nv_bfloat16> x, const float* bias, int out_features,
                           float* out) {
  const int first = static_cast<int>(blockIdx.x) * kTileOutputs;
  // Beyond the last output: that one again, for nobody.
  const float4 sum = multiply_tile(weight, x, [=](int r) { return min(first + r, out_features - 1); });
  if (threadIdx.x >= kWarpSize) return;
  const auto put = [=](int row, int output, float value) {
    if (row >= x.rows || output >= out_features) return;
    out[static_cast<int64_t>(row) * out_features + output] = bias == nullptr ? value : value + bias[output];
  };
  const int lane = static_cast<int>(threadIdx.x);
  const int output = first + lane / 8 + lane / 4 % 2 * 8, row = lane % 4 * 2;
  put(row, output, sum.x);
  put(row + 1, output, sum.y);
  put(row, output + 4, sum.z);
  put(row + 1, output + 4, sum.w);
}

// out = silu(x · gateᵀ) · (x · upᵀ). A block has kTileOutputs / 2 outputs of each row, each from a row of gate and one
// of up, four after it among the tile's, so that the same lane has both sums.
//   gate_up [2 · width, in_features], gate first   out [rows, width]
__global__ void __launch_bounds__(kTileMaxWarps* kWarpSize, kTileBlocks)
    swiglu_few_rows_tensor_kernel(const __nv_bfloat16* gate_up, FewRows<__nv_bfloat16> x, int width,
                                  __nv_bfloat16* out) {
  const int first = static_cast<int>(blockIdx.x) * kTileOutputs / 2;
  const float4 sum = multiply_tile(gate_up, x, [=](int r) {
    const bool up = r / 4 % 2 == 1;
    return min(first + r % 4 + r / 8 * 4, width - 1) + (up ? width : 0);
  });
  const int lane = static_cast<int>(threadIdx.x);
  const int output = first + lane / 8 + lane / 4 % 2 * 4, row = lane % 4 * 2;
  if (lane >= kWarpSize || output >= width) return;
  const int64_t at = static_cast<int64_t>(row) * width + output;
  if (row < x.rows) narrow(swiglu(sum.x, sum.z), out[at]);
  if (row + 1 < x.rows) narrow(swiglu(sum.y, sum.w), out[at + width]);
}

}  // namespace llm::LLM_GPU
