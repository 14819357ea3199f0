// What stands around cuBLAS's matrix product: rounding weights to their dtype, and the bias.
#pragma once

#include "common/cuda/numbers.cuh"
#include "common/cuda/ptx.cuh"

namespace llm::LLM_GPU {

// from, to [size]
template <class From, class To>
__global__ void convert_kernel(const From* from, int64_t size, To* to) {
  wait_for_earlier_kernels();
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < size; i += stride) {
    narrow(widen(from[i]), to[i]);
  }
}

// Every row of out [rows, width] becomes bias [width], to which the product is added.
__global__ void fill_rows_kernel(const float* bias, int64_t size, int width, float* out) {
  wait_for_earlier_kernels();
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < size) out[i] = bias[i % width];
}

}  // namespace llm::LLM_GPU
