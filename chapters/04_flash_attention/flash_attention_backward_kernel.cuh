// Step 6: the gradients, without the probabilities in memory. The forward pass kept one number a row, L = log_sum_exp,
// and with it P = exp(S − L) is computed again, tile by tile. With D = Σ_d dO · O (row by row) the gradients are
//   dV = Pᵀ · dO,   dP = dO · Vᵀ,   dS = P ∘ (dP − D),   dQ = dS · K · scale,   dK = dSᵀ · Q · scale.
// Dao et al., "FlashAttention", 2022, appendix B.4. Readable before fast: plain multiply-adds, and one kernel for the
// gradients of keys and values, one for those of queries, so that no two blocks add to the same number.
#pragma once

#include "chapters/04_flash_attention/tiles.cuh"

namespace llm::LLM_GPU {

// What the backward pass reads besides the forward pass's input, and writes.
template <class T>
struct GradientPointers {
  const T* dO;         // [num_tokens, heads, head_dim]
  const float *L, *D;  // [num_tokens, heads]
  T *dQ, *dK, *dV;     // as q, k, v
};

// D = Σ_d dO · O. A warp a row; grid (rows / warps of a block), block (32, warps).
template <class T>
__global__ void row_products_kernel(const T* dO, const T* O, float* D, int num_rows, int head_dim) {
  wait_for_earlier_kernels();
  const int row = static_cast<int>(blockIdx.x * blockDim.y + threadIdx.y);
  if (row >= num_rows) return;
  float sum = 0.0f;
  for (int d = static_cast<int>(threadIdx.x); d < head_dim; d += kWarpSize) {
    const int64_t at = static_cast<int64_t>(row) * head_dim + d;
    sum = fmaf(widen(dO[at]), widen(O[at]), sum);
  }
  sum = warp_sum(sum);
  if (threadIdx.x == 0) D[row] = sum;
}

template <int D, int BLOCK>
struct BackwardStorage {
  Tile<BLOCK, D> K_smem, V_smem, Q_smem, dO_smem;
  ScoreTile<BLOCK, BLOCK> P_smem, dS_smem;
  float L_smem[BLOCK], D_smem[BLOCK];
};

// A tile of queries with all that goes with it.
template <class T, int D, int BLOCK>
__device__ void load_queries(BackwardStorage<D, BLOCK>& smem, const HeadView<T>& h, const GradientPointers<T>& g,
                             int first_query) {
  const auto query_offset = [&](int query) { return h.query_offset(first_query + query); };
  load_tile(smem.Q_smem, h.p.q, h.query_len - first_query, h.p.head_dim, query_offset);
  load_tile(smem.dO_smem, g.dO, h.query_len - first_query, h.p.head_dim, query_offset);
  const int thread = static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x);
  for (int i = thread; i < BLOCK; i += static_cast<int>(blockDim.x * blockDim.y)) {
    const bool inside = first_query + i < h.query_len;
    smem.L_smem[i] = inside ? g.L[h.row(first_query + i)] : 0.0f;
    smem.D_smem[i] = inside ? g.D[h.row(first_query + i)] : 0.0f;
  }
}

template <class T, int D, int BLOCK>
__device__ void load_keys(BackwardStorage<D, BLOCK>& smem, const HeadView<T>& h, int first_key) {
  const auto key_offset = [&](int key) { return h.key_offset(first_key + key); };
  load_tile(smem.K_smem, h.p.k, h.context_len - first_key, h.p.head_dim, key_offset);
  load_tile(smem.V_smem, h.p.v, h.context_len - first_key, h.p.head_dim, key_offset);
}

// region: probability
// P, computed again from the score of a query and a key of the tiles; 0 where the query does not see the key.
template <class T>
__device__ float probability(const HeadView<T>& h, int query, int key, float product, float L) {
  const bool seen = query < h.query_len && key < h.visible(query);
  return seen ? expf(product * h.p.scale - L) : 0.0f;
}
// endregion

template <class T, int D>
__device__ void store_rows(T* data, const float (&acc_rmem)[kTileRows][D / kTileColumns], float factor, int num_rows,
                           int head_dim, auto offset_of) {
#pragma unroll
  for (int i = 0; i < kTileRows; ++i) {
    const int row = static_cast<int>(threadIdx.y) * kTileRows + i;
    if (row >= num_rows) continue;
#pragma unroll
    for (int j = 0; j < D / kTileColumns; ++j) {
      const int d = static_cast<int>(threadIdx.x) + j * kTileColumns;
      if (d < head_dim) narrow(acc_rmem[i][j] * factor, data[offset_of(row) + d]);
    }
  }
}

// dK and dV of a tile of keys: all queries pass, of all heads that read it. P and dS stand transposed, a row a key.
// Grid (key tiles, kv_heads, num_seqs), block tile_threads(BLOCK).
template <class T, int D, int BLOCK>
__global__ void key_gradients_kernel(AttentionPointers<T> p, GradientPointers<T> g) {
  auto& smem = shared_storage<BackwardStorage<D, BLOCK>>();
  wait_for_earlier_kernels();
  const int group = p.heads / p.kv_heads, sequence = static_cast<int>(blockIdx.z);
  const int first_key = static_cast<int>(blockIdx.x) * BLOCK, first_head = static_cast<int>(blockIdx.y) * group;
  const HeadView<T> keys(p, sequence, first_head);
  if (first_key >= keys.context_len) return;
  load_keys(smem, keys, first_key);
  float dK_rmem[kTileRows][D / kTileColumns] = {}, dV_rmem[kTileRows][D / kTileColumns] = {};
  for (int head = first_head; head < first_head + group; ++head) {
    const HeadView<T> h(p, sequence, head);
    for (int first_query = 0; first_query < h.query_len; first_query += BLOCK) {
      if (first_key >= h.visible_to_any(first_query, BLOCK)) continue;
      __syncthreads();  // all have used the tiles before
      load_queries(smem, h, g, first_query);
      __syncthreads();
      float S_rmem[kTileRows][BLOCK / kTileColumns], dP_rmem[kTileRows][BLOCK / kTileColumns];
      // region: key_gradients
      multiply_transposed(smem.K_smem, smem.Q_smem, S_rmem);
      multiply_transposed(smem.V_smem, smem.dO_smem, dP_rmem);
#pragma unroll
      for (int i = 0; i < kTileRows; ++i) {
        const int key = static_cast<int>(threadIdx.y) * kTileRows + i;
#pragma unroll
        for (int j = 0; j < BLOCK / kTileColumns; ++j) {
          const int query = static_cast<int>(threadIdx.x) + j * kTileColumns;
          const float P = probability(h, first_query + query, first_key + key, S_rmem[i][j], smem.L_smem[query]);
          smem.P_smem.values[key][query] = P;
          smem.dS_smem.values[key][query] = P * (dP_rmem[i][j] - smem.D_smem[query]);
        }
      }
      __syncwarp();  // a row is read by the 16 threads that wrote it
      add_product(smem.P_smem, smem.dO_smem, dV_rmem);
      add_product(smem.dS_smem, smem.Q_smem, dK_rmem);
      // endregion
    }
  }
  const auto offset_of = [&](int row) { return keys.key_offset(first_key + row); };
  store_rows<T, D>(g.dK, dK_rmem, p.scale, keys.context_len - first_key, p.head_dim, offset_of);
  store_rows<T, D>(g.dV, dV_rmem, 1.0f, keys.context_len - first_key, p.head_dim, offset_of);
}

// dQ of a tile of queries: all keys pass. Grid (query tiles, heads, num_seqs), block tile_threads(BLOCK).
template <class T, int D, int BLOCK>
__global__ void query_gradients_kernel(AttentionPointers<T> p, GradientPointers<T> g) {
  auto& smem = shared_storage<BackwardStorage<D, BLOCK>>();
  wait_for_earlier_kernels();
  const HeadView<T> h(p, static_cast<int>(blockIdx.z), static_cast<int>(blockIdx.y));
  const int first_query = static_cast<int>(blockIdx.x) * BLOCK;
  if (first_query >= h.query_len) return;
  load_queries(smem, h, g, first_query);
  float dQ_rmem[kTileRows][D / kTileColumns] = {};
  for (int first_key = 0; first_key < h.visible_to_any(first_query, BLOCK); first_key += BLOCK) {
    __syncthreads();  // all have used the tiles before
    load_keys(smem, h, first_key);
    __syncthreads();
    float S_rmem[kTileRows][BLOCK / kTileColumns], dP_rmem[kTileRows][BLOCK / kTileColumns];
    multiply_transposed(smem.Q_smem, smem.K_smem, S_rmem);
    multiply_transposed(smem.dO_smem, smem.V_smem, dP_rmem);
#pragma unroll
    for (int i = 0; i < kTileRows; ++i) {
      const int query = static_cast<int>(threadIdx.y) * kTileRows + i;
#pragma unroll
      for (int j = 0; j < BLOCK / kTileColumns; ++j) {
        const int key = static_cast<int>(threadIdx.x) + j * kTileColumns;
        const float P = probability(h, first_query + query, first_key + key, S_rmem[i][j], smem.L_smem[query]);
        smem.dS_smem.values[query][key] = P * (dP_rmem[i][j] - smem.D_smem[query]);
      }
    }
    __syncwarp();
    add_product(smem.dS_smem, smem.K_smem, dQ_rmem);
  }
  store_rows<T, D>(g.dQ, dQ_rmem, p.scale, h.query_len - first_query, p.head_dim,
                   [&](int row) { return h.query_offset(first_query + row); });
}

}  // namespace llm::LLM_GPU
