// The online softmax of step 2 on a tile of scores, for a block of queries at once: steps 3 and 4.
#pragma once

#include "chapters/04_flash_attention/tiles.cuh"

namespace llm::LLM_GPU {

template <int D, int BLOCK>
struct FlashStorage {
  Tile<BLOCK, D> Q_smem, K_smem, V_smem;
  ScoreTile<BLOCK, BLOCK> P_smem;
};

// Scores are scaled; those that nobody may see become −inf: keys past the end, and those after the query's own
// position.
template <class T, int COLUMNS>
__device__ void scale_and_mask(const HeadView<T>& h, int first_query, int first_key,
                               float (&S_rmem)[kTileRows][COLUMNS]) {
#pragma unroll
  for (int i = 0; i < kTileRows; ++i) {
    const int visible = h.visible(first_query + static_cast<int>(threadIdx.y) * kTileRows + i) - first_key;
#pragma unroll
    for (int j = 0; j < COLUMNS; ++j) {
      const bool seen = static_cast<int>(threadIdx.x) + j * kTileColumns < visible;
      S_rmem[i][j] = seen ? S_rmem[i][j] * h.p.scale : -INFINITY;
    }
  }
}

// m and l of a thread's rows, the same in the 16 threads of a row.
struct SoftmaxRows {
  float m_rmem[kTileRows], l_rmem[kTileRows];

  __device__ void clear() {
#pragma unroll
    for (int i = 0; i < kTileRows; ++i) {
      m_rmem[i] = -INFINITY;
      l_rmem[i] = 0.0f;
    }
  }

  // region: add_tile
  // P = exp(S − m) for the m that takes S into account, and l with it. What was summed before is to be multiplied by
  // rescale.
  template <int BLOCK>
  __device__ void add_tile(const float (&S_rmem)[kTileRows][BLOCK / kTileColumns], ScoreTile<BLOCK, BLOCK>& P_smem,
                           float (&rescale_rmem)[kTileRows]) {
    const int row = static_cast<int>(threadIdx.y) * kTileRows, column = static_cast<int>(threadIdx.x);
#pragma unroll
    for (int i = 0; i < kTileRows; ++i) {
      float tile_max = -INFINITY, tile_sum = 0.0f;
#pragma unroll
      for (int j = 0; j < BLOCK / kTileColumns; ++j) tile_max = fmaxf(tile_max, S_rmem[i][j]);
      const float new_max = fmaxf(m_rmem[i], row_max(tile_max));
      const float shift = new_max == -INFINITY ? 0.0f : new_max;  // no key seen yet: every exponential is 0
#pragma unroll
      for (int j = 0; j < BLOCK / kTileColumns; ++j) {
        const float probability = expf(S_rmem[i][j] - shift);
        P_smem.values[row + i][column + j * kTileColumns] = probability;
        tile_sum += probability;
      }
      rescale_rmem[i] = expf(m_rmem[i] - shift);
      m_rmem[i] = new_max;
      l_rmem[i] = rescale_rmem[i] * l_rmem[i] + row_sum(tile_sum);
    }
    __syncwarp();  // a row's P is read by the 16 threads that wrote it
  }
  // endregion
};

}  // namespace llm::LLM_GPU
