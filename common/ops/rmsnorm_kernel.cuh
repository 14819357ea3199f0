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

// x [rows, width] is updated   delta [rows, width] or null   weight [width]   out [rows, width]
// N numbers are loaded at once; width is a multiple of N.
template <class T, int N>
__global__ void add_rmsnorm_kernel(Pack<float, N>* x, const Pack<float, N>* delta, const Pack<float, N>* weight,
                                   float eps, int width, Pack<T, N>* out) {
  wait_for_earlier_kernels();
  auto& smem = shared_storage<AddRmsNormStorage>();
  const int num_packs = width / N;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * num_packs;
  const int thread = static_cast<int>(threadIdx.x), num_threads = static_cast<int>(blockDim.x);

  float sum_of_squares = 0.0f;
  for (int i = thread; i < num_packs; i += num_threads) {
    Pack<float, N> sum = x[row + i];
    if (delta != nullptr) {
      const Pack<float, N> addend = delta[row + i];
#pragma unroll
      for (int j = 0; j < N; ++j) sum.values[j] += addend.values[j];
      x[row + i] = sum;
    }
#pragma unroll
    for (int j = 0; j < N; ++j) sum_of_squares += sum.values[j] * sum.values[j];
  }
  const float mean_square = block_sum(sum_of_squares, smem.partial_smem) / static_cast<float>(width);
  const float scale = 1.0f / sqrtf(mean_square + eps);
  for (int i = thread; i < num_packs; i += num_threads) {
    const Pack<float, N> value = x[row + i], factor = weight[i];
    Pack<T, N> normed;
#pragma unroll
    for (int j = 0; j < N; ++j) narrow(value.values[j] * scale * factor.values[j], normed.values[j]);
    out[row + i] = normed;
  }
}

}  // namespace llm::LLM_GPU
