// The largest logit of a row, and by how much: one block a row.
#pragma once

#include "common/cuda/launch.h"
#include "common/cuda/numbers.cuh"
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

// logits [rows, width], N loaded at once, width a multiple of it   out [rows]. The block has 32 warps.
template <int N>
__global__ void argmax_kernel(const Pack<float, N>* logits, int width, TopToken* out) {
  auto& smem = shared_storage<ArgmaxStorage>();
  wait_for_earlier_kernels();
  const int num_packs = width / N;
  const Pack<float, N>* row = logits + static_cast<int64_t>(blockIdx.x) * num_packs;
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize, lane = static_cast<int>(threadIdx.x) % kWarpSize;
  Top top;
#pragma unroll 4
  for (int i = static_cast<int>(threadIdx.x); i < num_packs; i += static_cast<int>(blockDim.x)) {
    const Pack<float, N> pack = row[i];
#pragma unroll
    for (int j = 0; j < N; ++j) top.add(pack.values[j], i * N + j);
  }
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
