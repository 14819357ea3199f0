// out[i] = table[rows[i]], widened: one block a row.
#pragma once

#include "common/cuda/numbers.cuh"
#include "common/cuda/ptx.cuh"

namespace llm::LLM_GPU {

// rows [num_rows]   table [table_rows, width]   out [num_rows, width]
template <class T>
__global__ void pick_rows_kernel(const int32_t* rows, const T* table, int width, float* out) {
  wait_for_earlier_kernels();
  const T* from = table + static_cast<int64_t>(rows[blockIdx.x]) * width;
  float* to = out + static_cast<int64_t>(blockIdx.x) * width;
  for (int i = static_cast<int>(threadIdx.x); i < width; i += static_cast<int>(blockDim.x)) to[i] = widen(from[i]);
}

}  // namespace llm::LLM_GPU
