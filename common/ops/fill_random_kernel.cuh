// out[row, column] = a hash of its place: one block a row.
#pragma once

#include "common/cuda/numbers.cuh"
#include "common/cuda/ptx.cuh"
#include "common/ops/fill_random.h"

namespace llm::LLM_GPU {

// out [gridDim.x, columns]
__global__ void fill_random_kernel(uint64_t key, float range, int64_t columns, __nv_bfloat16* out) {
  wait_for_earlier_kernels();
  const uint32_t row_key = random_row_key(key, blockIdx.x);
  for (int64_t i = threadIdx.x; i < columns; i += blockDim.x) {
    narrow(random_number(row_key, i, range), out[blockIdx.x * columns + i]);
  }
}

}  // namespace llm::LLM_GPU
