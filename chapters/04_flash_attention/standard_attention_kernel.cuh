// Step 1: attention as its equation is written, one kernel for each of its three operations, with all scores in memory
// between them. Vaswani et al., "Attention Is All You Need", 2017, equation 1.
#pragma once

#include "chapters/04_flash_attention/tiles.cuh"

namespace llm::LLM_GPU {

template <class T, int D, int BLOCK>
struct ScoresStorage {
  Tile<BLOCK, D> Q_smem, K_smem;
};

// S = Q · Kᵀ · scale, −inf where a query does not see a key. Grid (key tiles, query tiles, num_seqs · heads), block
// tile_threads(BLOCK).
//   S [num_tokens, heads, max_context_len]
template <class T, int D, int BLOCK>
__global__ void scores_kernel(AttentionPointers<T> p, T* S, int max_context_len) {
  auto& smem = shared_storage<ScoresStorage<T, D, BLOCK>>();
  wait_for_earlier_kernels();
  const int first_key = static_cast<int>(blockIdx.x) * BLOCK, first_query = static_cast<int>(blockIdx.y) * BLOCK;
  const HeadView<T> h(p, static_cast<int>(blockIdx.z) / p.heads, static_cast<int>(blockIdx.z) % p.heads);
  load_tile(smem.Q_smem, p.q, h.query_len - first_query, p.head_dim,
            [&](int row) { return h.query_offset(first_query + row); });
  load_tile(smem.K_smem, p.k, h.context_len - first_key, p.head_dim,
            [&](int row) { return h.key_offset(first_key + row); });
  __syncthreads();
  float S_rmem[kTileRows][BLOCK / kTileColumns];
  multiply_transposed(smem.Q_smem, smem.K_smem, S_rmem);
#pragma unroll
  for (int i = 0; i < kTileRows; ++i) {
    const int query = first_query + static_cast<int>(threadIdx.y) * kTileRows + i;
#pragma unroll
    for (int j = 0; j < BLOCK / kTileColumns; ++j) {
      const int key = first_key + static_cast<int>(threadIdx.x) + j * kTileColumns;
      if (query >= h.query_len || key >= h.context_len) continue;
      const float score = key < h.visible(query) ? S_rmem[i][j] * p.scale : -INFINITY;
      narrow(score, S[h.row(query) * max_context_len + key]);
    }
  }
}

inline constexpr int kSoftmaxRows = 4;  // of a block, a warp each

// P = exp(S − max) / Σ exp(S − max), row by row, in the place of S: the largest score, the sum, the quotient, each of
// which reads the row. Grid (query tiles, heads, num_seqs), block (32, kSoftmaxRows).
template <class T>
__global__ void softmax_kernel(AttentionPointers<T> p, T* S, int max_context_len) {
  wait_for_earlier_kernels();
  const HeadView<T> h(p, static_cast<int>(blockIdx.z), static_cast<int>(blockIdx.y));
  const int query = static_cast<int>(blockIdx.x) * kSoftmaxRows + static_cast<int>(threadIdx.y);
  const int lane = static_cast<int>(threadIdx.x);
  if (query >= h.query_len) return;
  T* const row = S + h.row(query) * max_context_len;

  // region: softmax
  float largest = -INFINITY;
  for (int key = lane; key < h.context_len; key += kWarpSize) largest = fmaxf(largest, widen(row[key]));
  for (int offset = kWarpSize / 2; offset > 0; offset /= 2) {
    largest = fmaxf(largest, __shfl_xor_sync(kFullWarp, largest, offset));
  }
  const float shift = largest == -INFINITY ? 0.0f : largest;  // no key is seen: every exponential is 0
  float sum = 0.0f;
  for (int key = lane; key < h.context_len; key += kWarpSize) sum += expf(widen(row[key]) - shift);
  sum = warp_sum(sum);
  const float factor = sum == 0.0f ? 0.0f : 1.0f / sum;
  for (int key = lane; key < h.context_len; key += kWarpSize) narrow(expf(widen(row[key]) - shift) * factor, row[key]);
  // endregion
  if (lane == 0 && p.log_sum_exp != nullptr) p.log_sum_exp[h.row(query)] = shift + logf(sum);
}

template <class T, int D, int BLOCK>
struct WeighStorage {
  ScoreTile<BLOCK, BLOCK> P_smem;
  Tile<BLOCK, D> V_smem;
};

// O = P · V. Grid (query tiles, heads, num_seqs), block tile_threads(BLOCK).
template <class T, int D, int BLOCK>
__global__ void weigh_kernel(AttentionPointers<T> p, const T* P, int max_context_len) {
  auto& smem = shared_storage<WeighStorage<T, D, BLOCK>>();
  wait_for_earlier_kernels();
  const HeadView<T> h(p, static_cast<int>(blockIdx.z), static_cast<int>(blockIdx.y));
  const int first_query = static_cast<int>(blockIdx.x) * BLOCK;
  const int thread = static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x);
  if (first_query >= h.query_len) return;
  float O_rmem[kTileRows][D / kTileColumns] = {};
  for (int first_key = 0; first_key < h.context_len; first_key += BLOCK) {
    __syncthreads();  // all have used the tiles before
    for (int i = thread; i < BLOCK * BLOCK; i += static_cast<int>(blockDim.x * blockDim.y)) {
      const int query = first_query + i / BLOCK, key = first_key + i % BLOCK;
      const bool inside = query < h.query_len && key < h.context_len;
      smem.P_smem.values[i / BLOCK][i % BLOCK] = inside ? widen(P[h.row(query) * max_context_len + key]) : 0.0f;
    }
    load_tile(smem.V_smem, p.v, h.context_len - first_key, p.head_dim,
              [&](int row) { return h.key_offset(first_key + row); });
    __syncthreads();
    add_product(smem.P_smem, smem.V_smem, O_rmem);
  }
#pragma unroll
  for (int i = 0; i < kTileRows; ++i) {
    const int query = first_query + static_cast<int>(threadIdx.y) * kTileRows + i;
#pragma unroll
    for (int j = 0; j < D / kTileColumns; ++j) {
      const int d = static_cast<int>(threadIdx.x) + j * kTileColumns;
      if (query < h.query_len && d < p.head_dim) narrow(O_rmem[i][j], p.out[h.query_offset(query) + d]);
    }
  }
}

}  // namespace llm::LLM_GPU
