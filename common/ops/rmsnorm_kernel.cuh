// The residual add and RMSNorm: one block a row.
#pragma once

#include "common/cuda/launch.h"
#include "common/cuda/numbers.cuh"
#include "common/cuda/ptx.cuh"
#include "common/cuda/warp.cuh"

namespace llm::LLM_GPU {

struct AddRmsNormStorage {
  float partial_smem[kWarpSize];
};

inline constexpr int kMaxRmsNormThreads = 32 * kWarpSize;
inline constexpr int kMaxPacksPerThread = 8;

// x [rows, width] is updated   delta [rows, width] or null   weight [width]   out [rows, width]
// N numbers are loaded at once; width is a multiple of N. A thread keeps its packs, PACKS at most, from the sum of
// squares to the result.
template <class T, int N, int PACKS>
__global__ void __launch_bounds__(kMaxRmsNormThreads)
    add_rmsnorm_kernel(Pack<float, N>* x, const Pack<float, N>* delta, const Pack<float, N>* weight, float eps,
                       int width, Pack<T, N>* out) {
  auto& smem = shared_storage<AddRmsNormStorage>();
  const int num_packs = width / N;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * num_packs;
  const int thread = static_cast<int>(threadIdx.x), num_threads = static_cast<int>(blockDim.x);

  Pack<float, N> sum_rmem[PACKS], weight_rmem[PACKS];
#pragma unroll
  for (int p = 0; p < PACKS; ++p) {
    const int i = thread + p * num_threads;
    if (i < num_packs) weight_rmem[p] = weight[i];
  }
  wait_for_earlier_kernels();

  float sum_of_squares = 0.0f;
#pragma unroll
  for (int p = 0; p < PACKS; ++p) {
    const int i = thread + p * num_threads;
    if (i >= num_packs) break;
    sum_rmem[p] = x[row + i];
    if (delta != nullptr) {
      const Pack<float, N> addend = delta[row + i];
#pragma unroll
      for (int j = 0; j < N; ++j) sum_rmem[p].values[j] += addend.values[j];
      x[row + i] = sum_rmem[p];
    }
#pragma unroll
    for (int j = 0; j < N; ++j) sum_of_squares += sum_rmem[p].values[j] * sum_rmem[p].values[j];
  }
  const float mean_square = block_sum(sum_of_squares, smem.partial_smem) / static_cast<float>(width);
  const float scale = 1.0f / sqrtf(mean_square + eps);
#pragma unroll
  for (int p = 0; p < PACKS; ++p) {
    const int i = thread + p * num_threads;
    if (i >= num_packs) break;
    Pack<T, N> normed;
#pragma unroll
    for (int j = 0; j < N; ++j) narrow(sum_rmem[p].values[j] * scale * weight_rmem[p].values[j], normed.values[j]);
    out[row + i] = normed;
  }
}

}  // namespace llm::LLM_GPU
