// Attention in its plain form on a GPU: one block a query and head, its warps share the keys.
#pragma once

#include "common/cuda/launch.h"
#include "common/cuda/numbers.cuh"
#include "common/cuda/ptx.cuh"
#include "common/cuda/warp.cuh"

namespace llm::LLM_GPU {

inline constexpr int kAttendWarps = 16;
inline constexpr int kMaxHeadDim = 256;

struct AttendShape {
  int num_seqs, heads, kv_heads, head_dim, block_size, max_blocks;
  float scale;  // 1 / sqrt(head_dim)
};

// Where the numbers of attention stand; see KvView and Batch for the shapes.
template <class T>
struct AttendPointers {
  const T *q, *k, *v;
  const int32_t *positions, *query_start, *block_table;
  T* out;
};

// Each warp's softmax over its own keys.
struct AttendStorage {
  float max_smem[kAttendWarps];               // the largest score
  float sum_smem[kAttendWarps];               // of exp(score − max)
  float out_smem[kAttendWarps][kMaxHeadDim];  // of exp(score − max) · v
};

// The sequence that a token belongs to: the last one that starts at or before it.
__device__ inline int find_sequence(const int32_t* query_start, int num_seqs, int token) {
  int low = 0, high = num_seqs;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    if (query_start[middle] <= token) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return low;
}

// A softmax under way (Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018): PACKS packs of the
// output that one lane keeps.
template <int SIZE>
struct OnlineSoftmax {
  float max = -INFINITY;
  float sum = 0.0f;
  float out_rmem[SIZE] = {};

  // What was summed against `max` is now against a larger one.
  __device__ void rescale(float new_max) {
    const float factor = max == -INFINITY ? 0.0f : expf(max - new_max);
    sum *= factor;
#pragma unroll
    for (int i = 0; i < SIZE; ++i) out_rmem[i] *= factor;
    max = new_max;
  }
};

// Grid (num_tokens, heads), block (32, kAttendWarps). GROUP lanes share a key: lane i of a group has the packs i,
// i + GROUP, ... of its head_dim / N packs of N numbers, PACKS at most. A warp so takes 32 / GROUP keys at a time.
template <class T, int N, int GROUP, int PACKS>
__global__ void attend_kernel(AttendPointers<T> p, AttendShape shape) {
  auto& smem = shared_storage<AttendStorage>();
  wait_for_earlier_kernels();
  const int token = static_cast<int>(blockIdx.x), head = static_cast<int>(blockIdx.y);
  const int warp = static_cast<int>(threadIdx.y), lane = static_cast<int>(threadIdx.x);
  const int group_lane = lane % GROUP, num_packs = shape.head_dim / N;
  const int kv_head = head / (shape.heads / shape.kv_heads);
  const int32_t* table =
      p.block_table + static_cast<int64_t>(find_sequence(p.query_start, shape.num_seqs, token)) * shape.max_blocks;
  const auto* q =
      reinterpret_cast<const Pack<T, N>*>(p.q + (static_cast<int64_t>(token) * shape.heads + head) * shape.head_dim);
  float q_rmem[PACKS * N] = {};
#pragma unroll
  for (int pack = 0; pack < PACKS; ++pack) {
    const int index = group_lane + pack * GROUP;
    if (index >= num_packs) break;
#pragma unroll
    for (int i = 0; i < N; ++i) q_rmem[pack * N + i] = widen(q[index].values[i]) * shape.scale;
  }

  OnlineSoftmax<PACKS * N> softmax;
  constexpr int kKeysPerWarp = kWarpSize / GROUP;
  const int num_keys = p.positions[token] + 1;
  // All lanes of a warp go round equally often, so that they meet at the shuffles.
  for (int first = warp * kKeysPerWarp; first < num_keys; first += kAttendWarps * kKeysPerWarp) {
    const int key = first + lane / GROUP;
    const bool visible = key < num_keys;
    const int64_t slot =
        visible ? static_cast<int64_t>(table[key / shape.block_size]) * shape.block_size + key % shape.block_size : 0;
    const int64_t offset = (slot * shape.kv_heads + kv_head) * shape.head_dim;
    const auto* k = reinterpret_cast<const Pack<T, N>*>(p.k + offset);
    const auto* v = reinterpret_cast<const Pack<T, N>*>(p.v + offset);
    Pack<T, N> k_rmem[PACKS], v_rmem[PACKS];
    float score = 0.0f;
#pragma unroll
    for (int pack = 0; pack < PACKS; ++pack) {
      const int index = group_lane + pack * GROUP;
      if (!visible || index >= num_packs) break;
      k_rmem[pack] = k[index];
      v_rmem[pack] = v[index];
#pragma unroll
      for (int i = 0; i < N; ++i) score = fmaf(q_rmem[pack * N + i], widen(k_rmem[pack].values[i]), score);
    }
#pragma unroll
    for (int offset = GROUP / 2; offset > 0; offset /= 2) score += __shfl_xor_sync(kFullWarp, score, offset);
    if (!visible) continue;
    if (score > softmax.max) softmax.rescale(score);
    const float weight = expf(score - softmax.max);
    softmax.sum += weight;
#pragma unroll
    for (int pack = 0; pack < PACKS; ++pack) {
      if (group_lane + pack * GROUP >= num_packs) break;
#pragma unroll
      for (int i = 0; i < N; ++i) {
        softmax.out_rmem[pack * N + i] = fmaf(weight, widen(v_rmem[pack].values[i]), softmax.out_rmem[pack * N + i]);
      }
    }
  }

  // The groups of a warp into one: all against the largest score of any.
  softmax.rescale(warp_max(softmax.max));
#pragma unroll
  for (int offset = GROUP; offset < kWarpSize; offset *= 2) {
    softmax.sum += __shfl_xor_sync(kFullWarp, softmax.sum, offset);
#pragma unroll
    for (int i = 0; i < PACKS * N; ++i) {
      softmax.out_rmem[i] += __shfl_xor_sync(kFullWarp, softmax.out_rmem[i], offset);
    }
  }
  if (lane == 0) {
    smem.max_smem[warp] = softmax.max;
    smem.sum_smem[warp] = softmax.sum;
  }
  if (lane < GROUP) {
#pragma unroll
    for (int pack = 0; pack < PACKS; ++pack) {
      const int index = group_lane + pack * GROUP;
      if (index >= num_packs) break;
#pragma unroll
      for (int i = 0; i < N; ++i) smem.out_smem[warp][index * N + i] = softmax.out_rmem[pack * N + i];
    }
  }
  __syncthreads();

  // The warps into one, likewise: lane w has the factor of warp w's sums. Warp 0 saw a key, so the largest score is a
  // number, or the token is padding and gets zeros.
  static_assert(kAttendWarps <= kWarpSize && kMaxHeadDim <= kAttendWarps * kWarpSize);
  const float score = lane < kAttendWarps ? smem.max_smem[lane] : -INFINITY;
  const float factor = expf(score - warp_max(score));
  const float sum = warp_sum(lane < kAttendWarps ? factor * smem.sum_smem[lane] : 0.0f);
  const int i = warp * kWarpSize + lane;  // of the head's numbers, this thread's
  float value = 0.0f;
  for (int w = 0; w < kAttendWarps; ++w) {
    const float factor_of_w = __shfl_sync(kFullWarp, factor, w);
    if (i < shape.head_dim) value += factor_of_w * smem.out_smem[w][i];
  }
  if (i >= shape.head_dim) return;
  narrow(num_keys == 0 ? 0.0f : value / sum,
         p.out[(static_cast<int64_t>(token) * shape.heads + head) * shape.head_dim + i]);
}

}  // namespace llm::LLM_GPU
