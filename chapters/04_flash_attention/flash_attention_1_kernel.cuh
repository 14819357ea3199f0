// Step 3: the scores never leave the chip. Tiles of keys and values come to shared memory one after the other, and each
// meets all queries; what a query has so far (O, l, m) waits in memory until the next tile of keys.
// Dao et al., "FlashAttention: Fast and Memory-Efficient Exact Attention with IO-Awareness", 2022, algorithm 1.
#pragma once

#include "chapters/04_flash_attention/softmax_tile.cuh"

namespace llm::LLM_GPU {

// What waits in memory between two tiles of keys.
struct FlashState {
  float* O;      // [num_tokens, heads, head_dim], divided by l at every step
  float *l, *m;  // [num_tokens, heads]
};

// A tile of queries meets the tile of keys in shared memory: lines 9 to 13 of the algorithm.
template <class T, int D, int BLOCK>
__device__ void meet_queries(const HeadView<T>& h, FlashStorage<D, BLOCK>& smem, const FlashState& state,
                             int first_query, int first_key) {
  const int column = static_cast<int>(threadIdx.x), row = static_cast<int>(threadIdx.y) * kTileRows;
  const bool first = first_key == 0, last = first_key + BLOCK >= h.visible_to_any(first_query, BLOCK);
  SoftmaxRows softmax;
  softmax.clear();
#pragma unroll
  for (int i = 0; i < kTileRows; ++i) {
    const int query = first_query + row + i;
    if (first || query >= h.query_len) continue;
    softmax.m_rmem[i] = state.m[h.row(query)];
    softmax.l_rmem[i] = state.l[h.row(query)];
  }
  float old_l_rmem[kTileRows], rescale_rmem[kTileRows];
#pragma unroll
  for (int i = 0; i < kTileRows; ++i) old_l_rmem[i] = softmax.l_rmem[i];

  float S_rmem[kTileRows][BLOCK / kTileColumns];
  multiply_transposed(smem.Q_smem, smem.K_smem, S_rmem);
  scale_and_mask(h, first_query, first_key, S_rmem);
  softmax.add_tile(S_rmem, smem.P_smem, rescale_rmem);
  float PV_rmem[kTileRows][D / kTileColumns] = {};
  add_product(smem.P_smem, smem.V_smem, PV_rmem);

#pragma unroll
  for (int i = 0; i < kTileRows; ++i) {
    const int query = first_query + row + i;
    if (query >= h.query_len) continue;
    const float l = softmax.l_rmem[i], factor = l == 0.0f ? 0.0f : 1.0f / l;
    if (column == 0 && !last) {
      state.m[h.row(query)] = softmax.m_rmem[i];
      state.l[h.row(query)] = l;
    }
    if (column == 0 && last && h.p.log_sum_exp != nullptr) {
      h.p.log_sum_exp[h.row(query)] = softmax.m_rmem[i] + logf(l);
    }
#pragma unroll
    for (int j = 0; j < D / kTileColumns; ++j) {
      const int d = column + j * kTileColumns;
      if (d >= h.p.head_dim) continue;
      // region: output_in_memory
      const int64_t at = h.query_offset(query) + d;
      const float old_O = first ? 0.0f : state.O[at];
      const float O = factor * (old_l_rmem[i] * rescale_rmem[i] * old_O + PV_rmem[i][j]);
      if (last) {
        narrow(O, h.p.out[at]);
      } else {
        state.O[at] = O;
      }
      // endregion
    }
  }
}

// Grid (heads, num_seqs): one block does all of a head. Block tile_threads(BLOCK).
template <class T, int D, int BLOCK>
__global__ void flash_attention_1_kernel(AttentionPointers<T> p, FlashState state) {
  auto& smem = shared_storage<FlashStorage<D, BLOCK>>();
  wait_for_earlier_kernels();
  const HeadView<T> h(p, static_cast<int>(blockIdx.y), static_cast<int>(blockIdx.x));
  // region: loops
  for (int first_key = 0; first_key < max(h.context_len, 1); first_key += BLOCK) {
    const auto key_offset = [&](int key) { return h.key_offset(first_key + key); };
    __syncthreads();  // all have used the tiles before
    load_tile(smem.K_smem, p.k, h.context_len - first_key, p.head_dim, key_offset);
    load_tile(smem.V_smem, p.v, h.context_len - first_key, p.head_dim, key_offset);
    for (int first_query = 0; first_query < h.query_len; first_query += BLOCK) {
      // The first tile writes something for every query; later ones are for those who see a key of them.
      if (first_key > 0 && first_key >= h.visible_to_any(first_query, BLOCK)) continue;
      __syncthreads();
      load_tile(smem.Q_smem, p.q, h.query_len - first_query, p.head_dim,
                [&](int query) { return h.query_offset(first_query + query); });
      __syncthreads();
      meet_queries(h, smem, state, first_query, first_key);
    }
  }
  // endregion
}

}  // namespace llm::LLM_GPU
