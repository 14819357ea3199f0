// Step 4, the idea: the loops change places. A block has one tile of queries, keeps O, l and m in registers while all
// keys pass, and divides by l once, at the end; so blocks share out the sequence as well as the heads.
// Dao, "FlashAttention-2: Faster Attention with Better Parallelism and Work Partitioning", 2023, algorithm 1.
#pragma once

#include "chapters/04_flash_attention/softmax_tile.cuh"

namespace llm::LLM_GPU {

// Grid (query tiles, heads, num_seqs), block tile_threads(BLOCK).
template <class T, int D, int BLOCK>
__global__ void flash_attention_2_kernel(AttentionPointers<T> p) {
  auto& smem = shared_storage<FlashStorage<D, BLOCK>>();
  wait_for_earlier_kernels();
  const HeadView<T> h(p, static_cast<int>(blockIdx.z), static_cast<int>(blockIdx.y));
  const int first_query = static_cast<int>(blockIdx.x) * BLOCK;
  const int column = static_cast<int>(threadIdx.x), row = static_cast<int>(threadIdx.y) * kTileRows;
  if (first_query >= h.query_len) return;
  load_tile(smem.Q_smem, p.q, h.query_len - first_query, p.head_dim,
            [&](int query) { return h.query_offset(first_query + query); });

  SoftmaxRows softmax;
  softmax.clear();
  // region: loop
  float O_rmem[kTileRows][D / kTileColumns] = {};
  // Causal: the tiles of keys that none of these queries sees are not even read.
  for (int first_key = 0; first_key < h.visible_to_any(first_query, BLOCK); first_key += BLOCK) {
    const auto key_offset = [&](int key) { return h.key_offset(first_key + key); };
    __syncthreads();  // all have used the tiles before
    load_tile(smem.K_smem, p.k, h.context_len - first_key, p.head_dim, key_offset);
    load_tile(smem.V_smem, p.v, h.context_len - first_key, p.head_dim, key_offset);
    __syncthreads();

    float S_rmem[kTileRows][BLOCK / kTileColumns], rescale_rmem[kTileRows];
    multiply_transposed(smem.Q_smem, smem.K_smem, S_rmem);
    scale_and_mask(h, first_query, first_key, S_rmem);
    softmax.add_tile(S_rmem, smem.P_smem, rescale_rmem);
#pragma unroll
    for (int i = 0; i < kTileRows; ++i) {
#pragma unroll
      for (int j = 0; j < D / kTileColumns; ++j) O_rmem[i][j] *= rescale_rmem[i];
    }
    add_product(smem.P_smem, smem.V_smem, O_rmem);
  }
  // endregion

#pragma unroll
  for (int i = 0; i < kTileRows; ++i) {
    const int query = first_query + row + i;
    if (query >= h.query_len) continue;
    // region: divide_once
    const float l = softmax.l_rmem[i], factor = l == 0.0f ? 0.0f : 1.0f / l;
#pragma unroll
    for (int j = 0; j < D / kTileColumns; ++j) {
      const int d = column + j * kTileColumns;
      if (d < p.head_dim) narrow(O_rmem[i][j] * factor, p.out[h.query_offset(query) + d]);
    }
    // endregion
    if (column == 0 && p.log_sum_exp != nullptr) p.log_sum_exp[h.row(query)] = softmax.m_rmem[i] + logf(l);
  }
}

}  // namespace llm::LLM_GPU
