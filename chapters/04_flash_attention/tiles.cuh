// Tiles in shared memory and what a block does with them by plain multiply-adds: steps 1, 3, 4 (in f32) and 6.
// A block's threads stand in rows of 16: the 16 threads of row y have the rows 4·y .. 4·y + 3 of a tile, and thread x
// of them the columns x, x + 16, x + 32, ...
#pragma once

#include "chapters/04_flash_attention/attention_view.cuh"

namespace llm::LLM_GPU {

inline constexpr int kTileColumns = 16;  // threads beside each other
inline constexpr int kTileRows = 4;      // rows of a tile that a thread has

constexpr dim3 tile_threads(int block) { return dim3(kTileColumns, static_cast<unsigned>(block / kTileRows)); }

// ROWS rows of queries, keys or values, widened to f32. The four numbers more let threads of neighboring rows read 16
// bytes each without a conflict of banks.
template <int ROWS, int D>
struct Tile {
  alignas(16) float values[ROWS][D + 4];
};

// Scores or probabilities.
template <int ROWS, int COLUMNS>
struct ScoreTile {
  float values[ROWS][COLUMNS + 1];
};

// Row r of the tile becomes the head_dim numbers at data + offset_of(r), zeros past them and in rows from num_rows on.
// A warp takes a row at a time.
template <int ROWS, int D, class T, class OffsetOf>
__device__ void load_tile(Tile<ROWS, D>& tile_smem, const T* data, int num_rows, int head_dim, OffsetOf offset_of) {
  const int thread = static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x);
  const int num_warps = static_cast<int>(blockDim.x * blockDim.y) / kWarpSize;
  for (int row = thread / kWarpSize; row < ROWS; row += num_warps) {
    const T* const from = data + (row < num_rows ? offset_of(row) : 0);
    for (int d = thread % kWarpSize; d < D; d += kWarpSize) {
      tile_smem.values[row][d] = row < num_rows && d < head_dim ? widen(from[d]) : 0.0f;
    }
  }
}

// acc[i][j] = Σ_d a[row i][d] · b[column j][d]: queries times keys.
template <int ROWS, int COLUMNS, int D>
__device__ void multiply_transposed(const Tile<ROWS, D>& a_smem, const Tile<COLUMNS, D>& b_smem,
                                    float (&acc_rmem)[kTileRows][COLUMNS / kTileColumns]) {
  constexpr int kColumns = COLUMNS / kTileColumns;
  const int row = static_cast<int>(threadIdx.y) * kTileRows, column = static_cast<int>(threadIdx.x);
#pragma unroll
  for (int i = 0; i < kTileRows; ++i) {
#pragma unroll
    for (int j = 0; j < kColumns; ++j) acc_rmem[i][j] = 0.0f;
  }
  for (int d = 0; d < D; d += 4) {
    float4 a_rmem[kTileRows];
#pragma unroll
    for (int i = 0; i < kTileRows; ++i) {
      a_rmem[i] = *reinterpret_cast<const float4*>(&a_smem.values[row + i][d]);
    }
#pragma unroll
    for (int j = 0; j < kColumns; ++j) {
      const float4 b = *reinterpret_cast<const float4*>(&b_smem.values[column + j * kTileColumns][d]);
#pragma unroll
      for (int i = 0; i < kTileRows; ++i) {
        const float4 a = a_rmem[i];
        acc_rmem[i][j] = fmaf(a.w, b.w, fmaf(a.z, b.z, fmaf(a.y, b.y, fmaf(a.x, b.x, acc_rmem[i][j]))));
      }
    }
  }
}

// acc[i][j] += Σ_k a[row i][k] · b[k][column j]: probabilities times values. A row of `a` is read by the 16 threads
// that wrote it.
template <int ROWS, int INNER, int D>
__device__ void add_product(const ScoreTile<ROWS, INNER>& a_smem, const Tile<INNER, D>& b_smem,
                            float (&acc_rmem)[kTileRows][D / kTileColumns]) {
  constexpr int kColumns = D / kTileColumns;
  const int row = static_cast<int>(threadIdx.y) * kTileRows, column = static_cast<int>(threadIdx.x);
  for (int k = 0; k < INNER; ++k) {
    float a_rmem[kTileRows];
#pragma unroll
    for (int i = 0; i < kTileRows; ++i) a_rmem[i] = a_smem.values[row + i][k];
#pragma unroll
    for (int j = 0; j < kColumns; ++j) {
      const float b = b_smem.values[k][column + j * kTileColumns];
#pragma unroll
      for (int i = 0; i < kTileRows; ++i) acc_rmem[i][j] = fmaf(a_rmem[i], b, acc_rmem[i][j]);
    }
  }
}

// Over the 16 threads of a row, the same in each.
__device__ inline float row_sum(float value) {
#pragma unroll
  for (int offset = kTileColumns / 2; offset > 0; offset /= 2) value += __shfl_xor_sync(kFullWarp, value, offset);
  return value;
}
__device__ inline float row_max(float value) {
#pragma unroll
  for (int offset = kTileColumns / 2; offset > 0; offset /= 2) {
    value = fmaxf(value, __shfl_xor_sync(kFullWarp, value, offset));
  }
  return value;
}

// Calls run with the tile's rows as an integral constant. `asked`: 16, 32 or 64 in f32, for experiments; 0: as many as
// fit in the shared memory of any GPU.
template <class T, int D, class Run>
void with_tile(int asked, Run run) {
  constexpr int kTile = D == 128 ? 32 : 64;
  if (asked == 0 || asked == kTile) return run(std::integral_constant<int, kTile>{});
  require((std::is_same_v<T, float>), "tiles of {} rows; other numbers than f32 have tiles of {}", asked, kTile);
  if constexpr (std::is_same_v<T, float>) {
    require(asked == 16 || asked == 32 || asked == 64, "tiles of {} rows; 16, 32 and 64 are there", asked);
    if (asked == 16) return run(std::integral_constant<int, 16>{});
    if (asked == 32) return run(std::integral_constant<int, 32>{});
    run(std::integral_constant<int, 64>{});
  }
}

}  // namespace llm::LLM_GPU
