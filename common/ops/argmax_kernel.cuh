// The largest logit of a row, and by how much: one block a row.
#pragma once

#include "common/cuda/launch.h"
#include "common/cuda/ptx.cuh"
#include "common/cuda/warp.cuh"
#include "common/ops/argmax.h"

namespace llm::LLM_GPU {

// The two largest values seen, and where the first of them stood.
struct Top {
  float first = -INFINITY, second = -INFINITY;
  int32_t id = 0;

  __device__ void add(float value, int32_t i) {
    if (value > first) {
      second = first;
      first = value;
      id = i;
    } else if (value > second) {
      second = value;
    }
  }

  __device__ void add(const Top& other) {
    second = fmaxf(fmaxf(second, other.second), fminf(first, other.first));
    if (other.first > first || (other.first == first && other.id < id)) {
      first = other.first;
      id = other.id;
    }
  }
};

__device__ inline Top warp_top(Top top) {
  for (int offset = kWarpSize / 2; offset > 0; offset /= 2) {
    Top other;
    other.first = __shfl_xor_sync(kFullWarp, top.first, offset);
    other.second = __shfl_xor_sync(kFullWarp, top.second, offset);
    other.id = __shfl_xor_sync(kFullWarp, top.id, offset);
    top.add(other);
  }
  return top;
}

struct ArgmaxStorage {
  float first_smem[kWarpSize], second_smem[kWarpSize];
  int32_t id_smem[kWarpSize];
};

// logits [rows, width]   out [rows]. The block has 32 warps.
__global__ void argmax_kernel(const float* logits, int width, TopToken* out) {
  auto& smem = shared_storage<ArgmaxStorage>();
  wait_for_earlier_kernels();
  const float* row = logits + static_cast<int64_t>(blockIdx.x) * width;
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize, lane = static_cast<int>(threadIdx.x) % kWarpSize;
  Top top;
#pragma unroll 8
  for (int i = static_cast<int>(threadIdx.x); i < width; i += static_cast<int>(blockDim.x)) top.add(row[i], i);
  top = warp_top(top);
  if (lane == 0) {
    smem.first_smem[warp] = top.first;
    smem.second_smem[warp] = top.second;
    smem.id_smem[warp] = top.id;
  }
  __syncthreads();
  if (warp != 0) return;
  top.first = smem.first_smem[lane];
  top.second = smem.second_smem[lane];
  top.id = smem.id_smem[lane];
  top = warp_top(top);
  if (lane == 0) out[blockIdx.x] = {top.id, top.first - top.second};
}

}  // namespace llm::LLM_GPU
