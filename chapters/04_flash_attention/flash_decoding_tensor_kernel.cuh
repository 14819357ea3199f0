// Step 5 on tensor cores, for 16-bit numbers: a tile of 16 rows is the query heads of one KV head. Keys and
// values go from memory to registers and from there into the product, 16 bytes a lane and 16 keys a warp under way at
// once. That works without shared memory because a product does not mind in which order its inner numbers and its
// columns come, as long as both operands agree: each lane takes the numbers that it loaded.
#pragma once

#include "chapters/04_flash_attention/flash_decoding_kernel.cuh"

namespace llm::LLM_GPU {

inline constexpr int kDecodingTensorRows = 16;

// The part of Q that a lane gives to the product with the keys: of rows g = lane / 4 and g + 8 the chunks t = lane % 4,
// t + 4, ... of 8 numbers each, a chunk for two steps of 16 inner numbers.
template <class T, int D>
struct DecodingQueries {
  unsigned Q_rmem[D / 32][2][4];

  // region: queries
  __device__ void load(const HeadView<T>& h, int num_rows, int lane) {
#pragma unroll
    for (int c = 0; c < D / 32; ++c) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int row = lane / 4 + 8 * half, d = (lane % 4 + 4 * c) * 8;
        uint4 chunk{};
        if (row < num_rows && d < h.p.head_dim) {
          chunk = *reinterpret_cast<const uint4*>(h.p.q + (h.row(0) + row) * h.p.head_dim + d);
        }
        Q_rmem[c][0][half] = chunk.x;
        Q_rmem[c][0][half + 2] = chunk.y;
        Q_rmem[c][1][half] = chunk.z;
        Q_rmem[c][1][half + 2] = chunk.w;
      }
    }
  }
  // endregion
};

// Where a warp's 16 keys stand: in one block, unless blocks are smaller, so that one look-up serves all of them.
template <class T>
struct DecodingSlots {
  const HeadView<T>& h;
  bool together;

  __device__ explicit DecodingSlots(const HeadView<T>& head)
      : h(head), together(h.first_slot >= 0 || h.p.block_size % kKeysOfStep == 0) {}

  __device__ int first(int first_key, int end) const { return first_key < end ? h.slot(first_key) : 0; }
  // Where number 0 of key first_key + i stands in k and v.
  __device__ int64_t offset(int first_slot, int first_key, int i) const {
    return h.slot_offset(together ? first_slot + i : h.slot(first_key + i));
  }
};

// 16 keys and values of a warp. Lane (g, t) has of the keys g and g + 8 the chunks t, t + 4, ..., and of the values 2t,
// 2t + 1, 2t + 8, 2t + 9 the chunks g, g + 8, ...
template <class T, int D>
struct DecodingStep {
  uint4 K_rmem[2][D / 32], V_rmem[4][D / 64];

  __device__ void load_keys(const DecodingSlots<T>& slots, int first_slot, int first_key, int end, int lane) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int key = lane / 4 + 8 * i;
      const bool there = first_key + key < end;
      const T* const row = slots.h.p.k + (there ? slots.offset(first_slot, first_key, key) : 0);
#pragma unroll
      for (int c = 0; c < D / 32; ++c) {
        const int d = (lane % 4 + 4 * c) * 8;
        K_rmem[i][c] = there && d < slots.h.p.head_dim ? *reinterpret_cast<const uint4*>(row + d) : uint4{};
      }
    }
  }

  __device__ void load_values(const DecodingSlots<T>& slots, int first_slot, int first_key, int end, int lane) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int key = 2 * (lane % 4) + i % 2 + i / 2 * 8;
      const bool there = first_key + key < end;
      const T* const row = slots.h.p.v + (there ? slots.offset(first_slot, first_key, key) : 0);
#pragma unroll
      for (int c = 0; c < D / 64; ++c) {
        const int d = (lane / 4 + 8 * c) * 8;
        V_rmem[i][c] = there && d < slots.h.p.head_dim ? *reinterpret_cast<const uint4*>(row + d) : uint4{};
      }
    }
  }

  // S [16, 16]: two tiles of 8 keys.
  __device__ void multiply_keys(const DecodingQueries<T, D>& queries, float (&S_rmem)[2][4]) const {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) S_rmem[i][j] = 0.0f;
#pragma unroll
      for (int c = 0; c < D / 32; ++c) {
        mma_m16n8k16<T>(S_rmem[i], queries.Q_rmem[c][0], {K_rmem[i][c].x, K_rmem[i][c].y});
        mma_m16n8k16<T>(S_rmem[i], queries.Q_rmem[c][1], {K_rmem[i][c].z, K_rmem[i][c].w});
      }
    }
  }

  // O += P · V. Tile 8·c + j of O has as its column g number j of chunk g + 8·c: two keys' numbers make a register.
  __device__ void add_values(const unsigned (&P_rmem)[4], float (&O_rmem)[D / 8][4]) const {
#pragma unroll
    for (int c = 0; c < D / 64; ++c) {
#pragma unroll
      for (int j = 0; j < 8; ++j) {
        const auto pair = [&](int key) {
          const unsigned first = word(V_rmem[key][c], j / 2), second = word(V_rmem[key + 1][c], j / 2);
          return j % 2 == 0 ? (first & 0xffffu) | second << 16 : first >> 16 | (second & 0xffff0000u);
        };
        mma_m16n8k16<T>(O_rmem[8 * c + j], P_rmem, {pair(0), pair(2)});
      }
    }
  }

 private:
  __device__ static unsigned word(const uint4& chunk, int i) {
    return i == 0 ? chunk.x : i == 1 ? chunk.y : i == 2 ? chunk.z : chunk.w;
  }
};

// A lane's two rows, g and g + 8, of a softmax under way.
template <int D>
struct DecodingRows {
  float O_rmem[D / 8][4] = {}, m_rmem[2] = {-INFINITY, -INFINITY}, l_rmem[2] = {};  // l: this lane's part

  // S → P, two numbers a register; key_limit: keys of this step that are there.
  template <class T>
  __device__ void add_scores(float (&S_rmem)[2][4], int key_limit, float scale_log2, int lane, unsigned (&P_rmem)[4]) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float new_max = m_rmem[half];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        float& score = S_rmem[i / 2][2 * half + i % 2];
        if (8 * (i / 2) + lane % 4 * 2 + i % 2 >= key_limit) score = -INFINITY;
        new_max = fmaxf(new_max, score);
      }
      new_max = fmaxf(new_max, __shfl_xor_sync(kFullWarp, new_max, 1));
      new_max = fmaxf(new_max, __shfl_xor_sync(kFullWarp, new_max, 2));
      const float shift = new_max * scale_log2;  // a number: the first key of a step is there
      const float rescale = exp2_approx(fmaf(m_rmem[half], scale_log2, -shift));
      m_rmem[half] = new_max;
      float sum = 0.0f;
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const float first = exp2_approx(fmaf(S_rmem[i][2 * half], scale_log2, -shift));
        const float second = exp2_approx(fmaf(S_rmem[i][2 * half + 1], scale_log2, -shift));
        sum += first + second;
        P_rmem[2 * i + half] = narrow_pair<T>(first, second);
      }
      l_rmem[half] = fmaf(l_rmem[half], rescale, sum);
#pragma unroll
      for (int n = 0; n < D / 8; ++n) {
        O_rmem[n][2 * half] *= rescale;
        O_rmem[n][2 * half + 1] *= rescale;
      }
    }
  }

  __device__ void store(DecodingStorage<kDecodingTensorRows, D>& smem, float scale, int warp, int lane) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = lane / 4 + 8 * half;
      float l = l_rmem[half];
      l += __shfl_xor_sync(kFullWarp, l, 1);
      l += __shfl_xor_sync(kFullWarp, l, 2);
      if (lane % 4 == 0) {
        smem.m_smem[warp][row] = m_rmem[half] * scale;
        smem.l_smem[warp][row] = l;
      }
#pragma unroll
      for (int n = 0; n < D / 8; ++n) {
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          const int chunk = n / 8 * 8 + lane % 4 * 2 + i;
          smem.O_smem[warp][row][chunk * 8 + n % 8] = O_rmem[n][2 * half + i];
        }
      }
    }
  }
};

// Needs a head_dim that is a multiple of 8. D: 64 or 128. Grid as DecodingWork says, block kDecodingThreads.
template <class T, int D>
__global__ void __launch_bounds__(kDecodingThreads, 2)
    flash_decoding_tensor_kernel(AttentionPointers<T> p, DecodingParts parts) {
  auto& smem = shared_storage<DecodingStorage<kDecodingTensorRows, D>>();
  wait_for_earlier_kernels();
  const DecodingWork<T> work(p, kDecodingTensorRows);
  const HeadView<T> h(p, static_cast<int>(blockIdx.z), work.first_head);
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize, lane = static_cast<int>(threadIdx.x) % kWarpSize;
  if (h.query_len == 0) return;

  // region: loop
  DecodingQueries<T, D> queries;
  queries.load(h, work.num_rows, lane);
  DecodingRows<D> rows;
  // The keys of the next step are on their way as soon as this step's are used, and so are the values.
  const DecodingSlots<T> slots(h);
  constexpr int kStride = kDecodingWarps * kKeysOfStep;
  int key = work.begin + warp * kKeysOfStep;
  DecodingStep<T, D> step;
  const int first_slot = slots.first(key, work.end);
  step.load_keys(slots, first_slot, key, work.end, lane);
  step.load_values(slots, first_slot, key, work.end, lane);
  int next_slot = slots.first(key + kStride, work.end);
  for (; key < work.end; key += kStride) {
    const int next = key + kStride;
    float S_rmem[2][4];
    unsigned P_rmem[4];
    step.multiply_keys(queries, S_rmem);
    step.load_keys(slots, next_slot, next, work.end, lane);
    rows.template add_scores<T>(S_rmem, work.end - key, p.scale * kLog2E, lane, P_rmem);
    step.add_values(P_rmem, rows.O_rmem);
    step.load_values(slots, next_slot, next, work.end, lane);
    next_slot = slots.first(next + kStride, work.end);
  }
  // endregion
  rows.store(smem, p.scale, warp, lane);
  join_warps(smem, h, work.num_rows, parts);
}

}  // namespace llm::LLM_GPU
