// A tile of 16-bit numbers in shared memory as tensor cores read it: rows of 16-byte chunks, swizzled so that the eight
// rows of a matrix that ldmatrix loads together lie in different banks.
#pragma once

#include "chapters/04_flash_attention/attention_view.cuh"

namespace llm::LLM_GPU {

inline constexpr int kChunk = 8;  // numbers of 16 bytes

// region: swizzled_chunk
// Where chunk `chunk` of a row of D numbers stands in the tile, counted in chunks. 128 bytes are all 32 banks; the rows
// that share them, and those that repeat them, get their chunks in another order each.
template <int D>
__host__ __device__ constexpr int swizzled_chunk(int row, int chunk) {
  constexpr int kChunks = D / kChunk, kChunksOfBanks = 8;
  constexpr int kRowsOfBanks = kChunks < kChunksOfBanks ? kChunksOfBanks / kChunks : 1;
  constexpr int kOrders = kChunks < kChunksOfBanks ? kChunks : kChunksOfBanks;
  return row * kChunks + (chunk ^ (row / kRowsOfBanks % kOrders));
}
// endregion

// Whether the same chunk of eight rows after each other falls on eight times four different banks.
template <int D>
constexpr bool free_of_conflicts() {
  for (int chunk = 0; chunk < D / kChunk; ++chunk) {
    unsigned banks = 0;
    for (int row = 8; row < 16; ++row) banks |= 1u << swizzled_chunk<D>(row, chunk) % 8;
    if (banks != 0xff) return false;
  }
  return true;
}
static_assert(free_of_conflicts<32>() && free_of_conflicts<64>() && free_of_conflicts<128>());

template <class T, int ROWS, int D>
struct alignas(128) SwizzledTile {
  T values[ROWS * D];

  __device__ T* chunk(int row, int index) { return values + swizzled_chunk<D>(row, index) * kChunk; }

  // region: ldmatrix
  // Matrices of 8 × 8 numbers from the 16 × 16 that begin at row `row`, a multiple of 16, and chunk `index`, an even
  // one. `a`: as mma's first operand. `b`: as its second, transposed, two tiles of 8 rows. `b_trans`: as its second,
  // two tiles of 8 columns.
  __device__ void load_a(unsigned (&matrices_rmem)[4], int row, int index, int lane) {
    ldmatrix_x4(matrices_rmem, lane_chunk(row, index, lane % 16, lane / 16));
  }
  __device__ void load_b(unsigned (&matrices_rmem)[4], int row, int index, int lane) {
    ldmatrix_x4(matrices_rmem, lane_chunk(row, index, lane % 8 + lane / 16 * 8, lane / 8 % 2));
  }
  __device__ void load_b_trans(unsigned (&matrices_rmem)[4], int row, int index, int lane) {
    ldmatrix_x4_trans(matrices_rmem, lane_chunk(row, index, lane % 16, lane / 16));
  }
  // endregion

  // Row r becomes the head_dim numbers at data + row_of(r) · stride, zeros past them and in rows from num_rows on. The
  // copies go on by themselves where 16 bytes may be taken at a time.
  template <int THREADS, class RowOf>
  __device__ void load(const T* data, int64_t stride, int num_rows, int head_dim, RowOf row_of) {
    constexpr int kChunks = D / kChunk, kRowsAtOnce = THREADS / kChunks, kTimes = ROWS / kRowsAtOnce;
    static_assert(ROWS % kRowsAtOnce == 0);
    const int first = static_cast<int>(threadIdx.x) / kChunks, index = static_cast<int>(threadIdx.x) % kChunks;
    int rows_rmem[kTimes];  // all looked up before the first copy, so that they do not wait for each other
#pragma unroll
    for (int i = 0; i < kTimes; ++i) {
      const int row = first + i * kRowsAtOnce;
      rows_rmem[i] = row < num_rows ? row_of(row) : 0;
    }
    const bool in_chunks = head_dim % kChunk == 0;
#pragma unroll
    for (int i = 0; i < kTimes; ++i) {
      const int row = first + i * kRowsAtOnce;
      const int count = row < num_rows ? max(min(head_dim - index * kChunk, kChunk), 0) : 0;
      const T* const from = data + (count > 0 ? rows_rmem[i] * stride + index * kChunk : 0);
      T* const to = chunk(row, index);
      if (in_chunks) {
        cp_async<16>(to, from, count * static_cast<int>(sizeof(T)));
      } else {
        for (int d = 0; d < kChunk; ++d) {
          if (d < count) {
            to[d] = from[d];
          } else {
            narrow(0.0f, to[d]);
          }
        }
      }
    }
  }

  // The same where all rows are there, at data + r · stride, and head_dim is D: most tiles of a contiguous cache.
  // Nothing is left to look up or to compare.
  template <int THREADS>
  __device__ void load_whole(const T* data, int64_t stride) {
    constexpr int kChunks = D / kChunk, kRowsAtOnce = THREADS / kChunks;
    static_assert(ROWS % kRowsAtOnce == 0 && kRowsAtOnce % 8 == 0);  // after 8 rows the order of chunks is the same
    const int row = static_cast<int>(threadIdx.x) / kChunks, index = static_cast<int>(threadIdx.x) % kChunks;
    const T* const from = data + row * stride + index * kChunk;
    T* const to = chunk(row, index);
#pragma unroll
    for (int i = 0; i < ROWS; i += kRowsAtOnce) cp_async<16>(to + i * D, from + i * stride);
  }

  // The reverse for a warp's own 32 or fewer rows from `first` on: row r's numbers to data + offset_of(r).
  template <class OffsetOf>
  __device__ void store_rows(T* data, int first, int count, int num_rows, int head_dim, int lane, OffsetOf offset_of) {
    constexpr int kChunks = D / kChunk;
    for (int i = lane; i < count * kChunks; i += kWarpSize) {
      const int row = first + i / kChunks, index = i % kChunks, d = index * kChunk;
      if (row >= num_rows || d >= head_dim) continue;
      T* const to = data + offset_of(row) + d;
      if (head_dim % kChunk == 0) {
        *reinterpret_cast<uint4*>(to) = *reinterpret_cast<const uint4*>(chunk(row, index));
      } else {
        for (int j = 0; j < min(kChunk, head_dim - d); ++j) to[j] = chunk(row, index)[j];
      }
    }
  }

 private:
  // chunk(row + lane_row, index + lane_index), with all that depends on the lane in a number that is computed once:
  // swizzling is an exclusive or, which takes its terms in any order.
  __device__ T* lane_chunk(int row, int index, int lane_row, int lane_index) {
    return values + row * D + (swizzled_chunk<D>(lane_row, lane_index) * kChunk ^ index * kChunk);
  }
};

}  // namespace llm::LLM_GPU
