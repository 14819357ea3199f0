// The largest logit of a row, and by how much: several blocks a row find the tops of their parts, a warp joins them.
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

inline constexpr int kTopThreads = 256;   // of a block
inline constexpr int kMaxTopBlocks = 64;  // of a row

struct TopStorage {
  Top warp_smem[kTopThreads / kWarpSize];
};

// Grid (blocks, rows).
//   logits [rows, width], N loaded at once, width a multiple of it   tops [rows, blocks]
template <int N>
__global__ void find_tops_kernel(const Pack<float, N>* logits, int width, Top* tops) {
  auto& smem = shared_storage<TopStorage>();
  wait_for_earlier_kernels();
  const int num_packs = width / N, stride = static_cast<int>(gridDim.x) * kTopThreads;
  const Pack<float, N>* row = logits + static_cast<int64_t>(blockIdx.y) * num_packs;
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize, lane = static_cast<int>(threadIdx.x) % kWarpSize;
  Top top;
#pragma unroll 2
  for (int i = static_cast<int>(blockIdx.x) * kTopThreads + static_cast<int>(threadIdx.x); i < num_packs; i += stride) {
    const Pack<float, N> pack = row[i];
#pragma unroll
    for (int j = 0; j < N; ++j) top.add(pack.values[j], i * N + j);
  }
  top = warp_top(top);
  if (lane == 0) smem.warp_smem[warp] = top;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (int w = 1; w < kTopThreads / kWarpSize; ++w) top.add(smem.warp_smem[w]);
  tops[blockIdx.y * gridDim.x + blockIdx.x] = top;
}

// One warp a row.   tops [rows, blocks]   out [rows]
__global__ void join_tops_kernel(const Top* tops, int blocks, TopToken* out) {
  wait_for_earlier_kernels();
  Top top;
  for (int i = static_cast<int>(threadIdx.x); i < blocks; i += kWarpSize) top.add(tops[blockIdx.x * blocks + i]);
  top = warp_top(top);
  if (threadIdx.x == 0) out[blockIdx.x] = {top.id, top.first - top.second};
}

}  // namespace llm::LLM_GPU
