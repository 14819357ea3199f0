// Step 4, as fast as mma.sync allows: the loop of flash_attention_2_kernel.cuh on tensor cores. Each warp has 32
// queries of its own and goes through all keys, so that warps never have to add up results. While a tile is worked on,
// the next one is under way. Exponentials are powers of two: exp(scale · s) = 2^(scale · log2(e) · s) is one
// multiply-add and one instruction.
#pragma once

#include "chapters/04_flash_attention/swizzled_tile.cuh"

namespace llm::LLM_GPU {

// region: tiles
// Queries and keys of a tile, and how a block's warps share the queries.
template <int D>
struct TensorTiles {
  static constexpr int kWarps = 4, kThreads = kWarps * kWarpSize;
  static constexpr int kQueries = 128, kKeys = 64;
  static constexpr int kQueriesOfWarp = kQueries / kWarps;
  static constexpr int kBlocksOfSm = 2;
};

template <class T, int D>
struct TensorStorage {
  using Tiles = TensorTiles<D>;
  SwizzledTile<T, Tiles::kQueries, D> Q_smem;  // and at the end O
  SwizzledTile<T, Tiles::kKeys, D> K_smem[2], V_smem[2];
};
// endregion

// What a warp knows of its queries. mma's layout: with g = lane / 4 and t = lane % 4 the lane has of each 16 × 8 tile
// row g, columns 2t, 2t + 1 (numbers 0, 1) and row g + 8, the same columns (numbers 2, 3).
template <int D>
struct WarpRows {
  static constexpr int kRowTiles = TensorTiles<D>::kQueriesOfWarp / 16, kKeyTiles = TensorTiles<D>::kKeys / 8;
  using Scores = float[kRowTiles][kKeyTiles][4];

  float O_rmem[kRowTiles][D / 8][4];
  float m_rmem[kRowTiles][2], l_rmem[kRowTiles][2];  // l: this lane's part of the row

  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int r = 0; r < kRowTiles; ++r) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        m_rmem[r][half] = -INFINITY;
        l_rmem[r][half] = 0.0f;
      }
#pragma unroll
      for (int n = 0; n < D / 8; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) O_rmem[r][n][i] = 0.0f;
      }
    }
  }

  // S → P = 2^(S · scale − m · scale) in the place of S; O and l are brought to the new m.
  __device__ __forceinline__ void add_scores(Scores& S_rmem, float scale_log2) {
#pragma unroll
    for (int r = 0; r < kRowTiles; ++r) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float new_max = m_rmem[r][half];
#pragma unroll
        for (int n = 0; n < kKeyTiles; ++n) {
          new_max = fmaxf(new_max, fmaxf(S_rmem[r][n][2 * half], S_rmem[r][n][2 * half + 1]));
        }
        new_max = fmaxf(new_max, __shfl_xor_sync(kFullWarp, new_max, 1));  // the four lanes of a row
        new_max = fmaxf(new_max, __shfl_xor_sync(kFullWarp, new_max, 2));
        // region: powers_of_two
        const float shift = new_max == -INFINITY ? 0.0f : new_max * scale_log2;
        const float rescale = exp2_approx(fmaf(m_rmem[r][half], scale_log2, -shift));
        m_rmem[r][half] = new_max;
        float sum = 0.0f;
#pragma unroll
        for (int n = 0; n < kKeyTiles; ++n) {
#pragma unroll
          for (int i = 2 * half; i < 2 * half + 2; ++i) {
            S_rmem[r][n][i] = exp2_approx(fmaf(S_rmem[r][n][i], scale_log2, -shift));
            sum += S_rmem[r][n][i];
          }
        }
        l_rmem[r][half] = fmaf(l_rmem[r][half], rescale, sum);
        // endregion
#pragma unroll
        for (int n = 0; n < D / 8; ++n) {
          O_rmem[r][n][2 * half] *= rescale;
          O_rmem[r][n][2 * half + 1] *= rescale;
        }
      }
    }
  }
};

// S = Q · Kᵀ: 16 numbers of head_dim at a time, 16 keys at a time.
template <class T, int D>
__device__ __forceinline__ void multiply_queries_keys(typename WarpRows<D>::Scores& S_rmem,
                                                      SwizzledTile<T, TensorTiles<D>::kQueries, D>& Q_smem,
                                                      SwizzledTile<T, TensorTiles<D>::kKeys, D>& K_smem, int first_row,
                                                      int lane) {
  using Rows = WarpRows<D>;
#pragma unroll
  for (int r = 0; r < Rows::kRowTiles; ++r) {
#pragma unroll
    for (int n = 0; n < Rows::kKeyTiles; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) S_rmem[r][n][i] = 0.0f;
    }
  }
#pragma unroll
  for (int d = 0; d < D / 16; ++d) {
    unsigned Q_rmem[Rows::kRowTiles][4];
#pragma unroll
    for (int r = 0; r < Rows::kRowTiles; ++r) Q_smem.load_a(Q_rmem[r], first_row + 16 * r, 2 * d, lane);
#pragma unroll
    for (int n = 0; n < Rows::kKeyTiles; n += 2) {
      unsigned K_rmem[4];
      K_smem.load_b(K_rmem, 8 * n, 2 * d, lane);
#pragma unroll
      for (int r = 0; r < Rows::kRowTiles; ++r) {
        mma_m16n8k16<T>(S_rmem[r][n], Q_rmem[r], {K_rmem[0], K_rmem[1]});
        mma_m16n8k16<T>(S_rmem[r][n + 1], Q_rmem[r], {K_rmem[2], K_rmem[3]});
      }
    }
  }
}

// O += P · V. What a lane has of two neighboring 16 × 8 tiles of P is what mma wants of a 16 × 16 first operand.
template <class T, int D>
__device__ __forceinline__ void add_probabilities_values(WarpRows<D>& rows, const typename WarpRows<D>::Scores& P_rmem,
                                                         SwizzledTile<T, TensorTiles<D>::kKeys, D>& V_smem, int lane) {
  using Rows = WarpRows<D>;
#pragma unroll
  for (int k = 0; k < Rows::kKeyTiles; k += 2) {
    // region: probabilities_operand
    unsigned P_pairs_rmem[Rows::kRowTiles][4];
#pragma unroll
    for (int r = 0; r < Rows::kRowTiles; ++r) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float* const two = &P_rmem[r][k + i / 2][2 * (i % 2)];
        P_pairs_rmem[r][i] = narrow_pair<T>(two[0], two[1]);
      }
    }
    // endregion
#pragma unroll
    for (int n = 0; n < D / 8; n += 2) {
      unsigned V_rmem[4];
      V_smem.load_b_trans(V_rmem, 8 * k, n, lane);
#pragma unroll
      for (int r = 0; r < Rows::kRowTiles; ++r) {
        mma_m16n8k16<T>(rows.O_rmem[r][n], P_pairs_rmem[r], {V_rmem[0], V_rmem[1]});
        mma_m16n8k16<T>(rows.O_rmem[r][n + 1], P_pairs_rmem[r], {V_rmem[2], V_rmem[3]});
      }
    }
  }
}

// Scores of keys that a query does not see become −inf.
template <class T, int D>
__device__ __forceinline__ void mask_scores(typename WarpRows<D>::Scores& S_rmem, const HeadView<T>& h, int first_query,
                                            int first_key, int lane) {
#pragma unroll
  for (int r = 0; r < WarpRows<D>::kRowTiles; ++r) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int visible = h.visible(first_query + 16 * r + 8 * half + lane / 4) - first_key - lane % 4 * 2;
#pragma unroll
      for (int n = 0; n < WarpRows<D>::kKeyTiles; ++n) {
        if (8 * n >= visible) S_rmem[r][n][2 * half] = -INFINITY;
        if (8 * n + 1 >= visible) S_rmem[r][n][2 * half + 1] = -INFINITY;
      }
    }
  }
}

// O / l and m + ln l to memory. O goes through the warp's own rows of Q_smem, so that it leaves 16 bytes at a time.
template <class T, int D>
__device__ __forceinline__ void finish_rows(WarpRows<D>& rows, const HeadView<T>& h,
                                            SwizzledTile<T, TensorTiles<D>::kQueries, D>& O_smem, int first_query,
                                            int first_row, int lane) {
  using Tiles = TensorTiles<D>;
  __syncwarp();  // all lanes have read their Q
#pragma unroll
  for (int r = 0; r < WarpRows<D>::kRowTiles; ++r) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float l = rows.l_rmem[r][half];
      l += __shfl_xor_sync(kFullWarp, l, 1);
      l += __shfl_xor_sync(kFullWarp, l, 2);
      const float factor = l == 0.0f ? 0.0f : 1.0f / l;
      const int row = first_row + 16 * r + 8 * half + lane / 4, query = first_query + row;
      if (lane % 4 == 0 && query < h.query_len && h.p.log_sum_exp != nullptr) {
        h.p.log_sum_exp[h.row(query)] = l == 0.0f ? -INFINITY : rows.m_rmem[r][half] * h.p.scale + logf(l);
      }
#pragma unroll
      for (int n = 0; n < D / 8; ++n) {
        *reinterpret_cast<unsigned*>(O_smem.chunk(row, n) + lane % 4 * 2) =
            narrow_pair<T>(rows.O_rmem[r][n][2 * half] * factor, rows.O_rmem[r][n][2 * half + 1] * factor);
      }
    }
  }
  __syncwarp();
  O_smem.store_rows(h.p.out, first_row, Tiles::kQueriesOfWarp, h.query_len - first_query, h.p.head_dim, lane,
                    [&](int row) { return h.query_offset(first_query + row); });
}

// Grid (query tiles, heads, num_seqs), block kThreads.
template <class T, int D>
__global__ void __launch_bounds__(TensorTiles<D>::kThreads, TensorTiles<D>::kBlocksOfSm)
    flash_attention_2_tensor_kernel(AttentionPointers<T> p) {
  using Tiles = TensorTiles<D>;
  auto& smem = shared_storage<TensorStorage<T, D>>();
  wait_for_earlier_kernels();
  const HeadView<T> h(p, static_cast<int>(blockIdx.z), static_cast<int>(blockIdx.y));
  // Causal: the last queries have the most keys, and begin first.
  const int first_query = static_cast<int>(gridDim.x - 1 - blockIdx.x) * Tiles::kQueries;
  if (first_query >= h.query_len) return;
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int first_row = static_cast<int>(threadIdx.x) / kWarpSize * Tiles::kQueriesOfWarp;
  const int num_keys = h.visible_to_any(first_query, Tiles::kQueries);

  const auto start_keys = [&](int first_key, int stage) {
    const int64_t stride = int64_t{p.kv_heads} * p.head_dim;
    const int count = h.context_len - first_key;
    if (h.first_slot >= 0 && count >= Tiles::kKeys && p.head_dim == D) {
      const int64_t at = h.key_offset(first_key);
      smem.K_smem[stage].template load_whole<Tiles::kThreads>(p.k + at, stride);
      smem.V_smem[stage].template load_whole<Tiles::kThreads>(p.v + at, stride);
    } else {
      const int64_t at = int64_t{h.kv_head} * p.head_dim;
      const auto slot_of = [&](int row) { return h.slot(first_key + row); };
      smem.K_smem[stage].template load<Tiles::kThreads>(p.k + at, stride, count, p.head_dim, slot_of);
      smem.V_smem[stage].template load<Tiles::kThreads>(p.v + at, stride, count, p.head_dim, slot_of);
    }
    cp_async_commit();
  };
  smem.Q_smem.template load<Tiles::kThreads>(p.q + int64_t{h.head} * p.head_dim, int64_t{p.heads} * p.head_dim,
                                             h.query_len - first_query, p.head_dim,
                                             [&](int row) { return h.first_token + first_query + row; });
  cp_async_commit();
  if (num_keys > 0) start_keys(0, 0);

  WarpRows<D> rows;
  rows.clear();
  const int seen_by_first = h.visible(first_query + first_row);  // keys of the warp's queries: the fewest ...
  const int seen_by_any = h.visible_to_any(first_query + first_row, Tiles::kQueriesOfWarp);  // ... and the most
  // region: loop
  for (int first_key = 0, stage = 0; first_key < num_keys; first_key += Tiles::kKeys, stage ^= 1) {
    cp_async_wait<0>();
    __syncthreads();  // this tile is there, and all have used the one before
    if (first_key + Tiles::kKeys < num_keys) start_keys(first_key + Tiles::kKeys, stage ^ 1);
    if (first_key >= seen_by_any) continue;
    typename WarpRows<D>::Scores S_rmem;
    multiply_queries_keys<T, D>(S_rmem, smem.Q_smem, smem.K_smem[stage], first_row, lane);
    if (first_key + Tiles::kKeys > seen_by_first)
      mask_scores<T, D>(S_rmem, h, first_query + first_row, first_key, lane);
    rows.add_scores(S_rmem, p.scale * kLog2E);
    add_probabilities_values<T, D>(rows, S_rmem, smem.V_smem[stage], lane);
  }
  // endregion
  cp_async_wait<0>();
  __syncthreads();  // no copy of Q is under way any more, even if there were no keys
  finish_rows<T, D>(rows, h, smem.Q_smem, first_query, first_row, lane);
}

}  // namespace llm::LLM_GPU
