// One new query a sequence: a block brings the keys and values of one KV head to shared memory, a tile at a
// time, and all heads of the group attend to the tile before the next one comes. A warp a head.
#pragma once

#include "chapters/04_flash_attention/flash_decoding_kernel.cuh"
#include "chapters/04_flash_attention/tiles.cuh"
#include "chapters/05_grouped_query_attention/grouped_attention.h"

namespace llm::LLM_GPU {

inline constexpr int kGroupKeys = kWarpSize;  // of a tile: a key a lane

struct GroupStorage {
  Tile<kGroupKeys, kMaxFlashHeadDim> K_smem, V_smem;
  Tile<kMaxHeadsAtOnce, kMaxFlashHeadDim> Q_smem;  // a query a head, scaled
};

// A head's softmax under way, in a warp: m and l are the same in all lanes, of O lane i has the numbers i, i + 32, ...
struct HeadSoftmax {
  float m = -INFINITY, l = 0.0f;
  float O_rmem[kMaxFlashHeadDim / kWarpSize] = {};

  // region: add_tile
  __device__ void add_tile(const GroupStorage& smem, int row, int num_keys, int head_dim, int lane) {
    float score = 0.0f;  // of this lane's key
    for (int d = 0; d < head_dim; d += 4) {
      const float4 q = *reinterpret_cast<const float4*>(&smem.Q_smem.values[row][d]);
      const float4 k = *reinterpret_cast<const float4*>(&smem.K_smem.values[lane][d]);
      score = fmaf(q.w, k.w, fmaf(q.z, k.z, fmaf(q.y, k.y, fmaf(q.x, k.x, score))));
    }
    if (lane >= num_keys) score = -INFINITY;
    const float new_max = fmaxf(m, warp_max(score));  // a number, for key 0 is there
    const float rescale = expf(m - new_max), probability = expf(score - new_max);
    m = new_max;
    l = l * rescale + warp_sum(probability);
#pragma unroll
    for (float& number : O_rmem) number *= rescale;
    for (int key = 0; key < num_keys; ++key) {
      const float probability_of_key = __shfl_sync(kFullWarp, probability, key);
#pragma unroll
      for (int i = 0; i < kMaxFlashHeadDim / kWarpSize; ++i) {
        if (i * kWarpSize >= head_dim) break;
        O_rmem[i] = fmaf(probability_of_key, smem.V_smem.values[key][lane + i * kWarpSize], O_rmem[i]);
      }
    }
  }
  // endregion
};

// Grid (1, KV heads · chunks of `rows` heads of their groups, sequences), block (32, rows). rows = 1: every head
// reads for itself.
template <class T>
__global__ void grouped_attention_kernel(AttentionPointers<T> p, int rows) {
  auto& smem = shared_storage<GroupStorage>();
  wait_for_earlier_kernels();
  const DecodingWork<T> work(p, rows);
  const HeadView<T> h(p, static_cast<int>(blockIdx.z), work.first_head);
  const int row = static_cast<int>(threadIdx.y), lane = static_cast<int>(threadIdx.x);
  if (h.query_len == 0) return;

  // region: tiles
  const T* const q = p.q + (h.row(0) + row) * p.head_dim;  // heads of a group stand side by side
  for (int d = lane; d < kMaxFlashHeadDim; d += kWarpSize) {
    const bool inside = row < work.num_rows && d < p.head_dim;
    smem.Q_smem.values[row][d] = inside ? widen(q[d]) * p.scale : 0.0f;
  }
  HeadSoftmax softmax;
  for (int first = 0; first < h.context_len; first += kGroupKeys) {
    const int num_keys = min(kGroupKeys, h.context_len - first);
    const auto offset_of = [&](int key) { return h.key_offset(first + key); };
    __syncthreads();  // all heads are done with the tile before
    load_tile(smem.K_smem, p.k, num_keys, p.head_dim, offset_of);
    load_tile(smem.V_smem, p.v, num_keys, p.head_dim, offset_of);
    __syncthreads();
    softmax.add_tile(smem, row, num_keys, p.head_dim, lane);
  }
  // endregion

  if (row >= work.num_rows) return;
  const int64_t at = h.row(0) + row;
#pragma unroll
  for (int i = 0; i < kMaxFlashHeadDim / kWarpSize; ++i) {
    const int d = lane + i * kWarpSize;
    if (d < p.head_dim) narrow(softmax.l == 0.0f ? 0.0f : softmax.O_rmem[i] / softmax.l, p.out[at * p.head_dim + d]);
  }
  if (lane == 0 && p.log_sum_exp != nullptr) {
    p.log_sum_exp[at] = softmax.l == 0.0f ? -INFINITY : softmax.m + logf(softmax.l);
  }
}

}  // namespace llm::LLM_GPU
