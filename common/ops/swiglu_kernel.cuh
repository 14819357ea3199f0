// out = silu(gate) · up: one thread a number.
#pragma once

#include "common/cuda/numbers.cuh"
#include "common/cuda/ptx.cuh"

namespace llm::LLM_GPU {

__device__ inline float swiglu(float gate, float up) { return gate / (1.0f + expf(-gate)) * up; }

// gate_up [rows, 2 · width]   out [rows, width]
template <class T>
__global__ void swiglu_kernel(const float* gate_up, int64_t num_outputs, int width, T* out) {
  wait_for_earlier_kernels();
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= num_outputs) return;
  const int64_t row = i / width, column = i % width;
  const float gate = gate_up[row * 2 * width + column], up = gate_up[row * 2 * width + width + column];
  narrow(swiglu(gate, up), out[i]);
}

}  // namespace llm::LLM_GPU
