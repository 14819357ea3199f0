// Step 5: one new query a sequence. A query tile of one row would leave most of a GPU idle, so the keys are shared out:
// each block attends to a part of them, and a second kernel joins the parts by their log_sum_exp. All the query heads
// that read one KV head are done together, so that its keys and values are read once.
// Dao et al., "Flash-Decoding for long-context inference", 2023.
#pragma once

#include "chapters/04_flash_attention/attention_view.cuh"

namespace llm::LLM_GPU {

// What a part of the keys gives for each query, as if there were no others; O is divided by its own l.
struct DecodingParts {
  float* O;            // [num_tokens, heads, num_parts, head_dim]
  float* log_sum_exp;  // [num_tokens, heads, num_parts]; −inf: no key, and nothing stands in O
};

inline constexpr int kDecodingWarps = 4, kDecodingThreads = kDecodingWarps * kWarpSize;
inline constexpr int kKeysOfStep = 16;                                // of a warp
inline constexpr int kKeysOfPart = 2 * kDecodingWarps * kKeysOfStep;  // fewer are not worth a block

// Each warp's softmax over its own keys.
template <int ROWS, int D>
struct DecodingStorage {
  float m_smem[kDecodingWarps][ROWS], l_smem[kDecodingWarps][ROWS];
  float O_smem[kDecodingWarps][ROWS][D];
};

// The keys [begin, end) of a block, and its query heads [first_head, first_head + num_rows). How many keys a part has
// is decided here, from context_len as it is when the kernel runs: a recorded graph is replayed while contexts grow.
template <class T>
struct DecodingWork {
  int first_head, num_rows, begin, end;

  // blockIdx: part, KV head and chunk of `rows` of its query heads, sequence
  __device__ DecodingWork(const AttentionPointers<T>& p, int rows) {
    const int group = p.heads / p.kv_heads, chunks = (group + rows - 1) / rows;
    const int kv_head = static_cast<int>(blockIdx.y) / chunks, first = static_cast<int>(blockIdx.y) % chunks * rows;
    first_head = kv_head * group + first;
    num_rows = min(rows, group - first);
    constexpr int kStep = kDecodingWarps * kKeysOfStep;
    // region: parts
    const int num_parts = static_cast<int>(gridDim.x), context_len = p.context_len[blockIdx.z];
    const int part_len = ((context_len + num_parts - 1) / num_parts + kStep - 1) / kStep * kStep;
    begin = static_cast<int>(blockIdx.x) * part_len;
    end = min(begin + part_len, context_len);
    // endregion
  }
};

// The warps' results into one, for each of the block's query heads: to `parts`, or to `out` where there is one part.
template <class T, int ROWS, int D>
__device__ void join_warps(const DecodingStorage<ROWS, D>& smem, const HeadView<T>& h, int num_rows,
                           const DecodingParts& parts) {
  __syncthreads();
  const int num_parts = static_cast<int>(gridDim.x), part = static_cast<int>(blockIdx.x);
  for (int i = static_cast<int>(threadIdx.x); i < num_rows * D; i += kDecodingThreads) {
    const int row = i / D, d = i % D;
    float m = -INFINITY, l = 0.0f, O = 0.0f;
    for (int w = 0; w < kDecodingWarps; ++w) m = fmaxf(m, smem.m_smem[w][row]);
    for (int w = 0; w < kDecodingWarps; ++w) {
      const float factor = smem.m_smem[w][row] == -INFINITY ? 0.0f : expf(smem.m_smem[w][row] - m);
      l += factor * smem.l_smem[w][row];
      O += factor * smem.O_smem[w][row][d];
    }
    const float log_sum_exp = l == 0.0f ? -INFINITY : m + logf(l);
    const int64_t at = h.row(0) + row;  // [num_tokens, heads]
    if (num_parts > 1) {
      if (d < h.p.head_dim && l > 0.0f) parts.O[(at * num_parts + part) * h.p.head_dim + d] = O / l;
      if (d == 0) parts.log_sum_exp[at * num_parts + part] = log_sum_exp;
    } else {
      if (d < h.p.head_dim) narrow(l == 0.0f ? 0.0f : O / l, h.p.out[at * h.p.head_dim + d]);
      if (d == 0 && h.p.log_sum_exp != nullptr) h.p.log_sum_exp[at] = log_sum_exp;
    }
  }
}

// By plain multiply-adds, for f32 and for any head_dim: a warp takes kUnroll keys at a time, each lane every 32nd
// number of them. Grid as DecodingWork says with kDecodingRows rows, block kDecodingThreads.
inline constexpr int kDecodingRows = 8;

template <class T, int D>
__global__ void __launch_bounds__(kDecodingThreads) flash_decoding_kernel(AttentionPointers<T> p, DecodingParts parts) {
  constexpr int kNumbers = D / kWarpSize, kUnroll = 4;
  auto& smem = shared_storage<DecodingStorage<kDecodingRows, D>>();
  wait_for_earlier_kernels();
  const DecodingWork<T> work(p, kDecodingRows);
  const HeadView<T> h(p, static_cast<int>(blockIdx.z), work.first_head);
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize, lane = static_cast<int>(threadIdx.x) % kWarpSize;
  if (h.query_len == 0) return;

  float Q_rmem[kDecodingRows][kNumbers], O_rmem[kDecodingRows][kNumbers] = {};
  float m_rmem[kDecodingRows], l_rmem[kDecodingRows] = {};
#pragma unroll
  for (int row = 0; row < kDecodingRows; ++row) {
    m_rmem[row] = -INFINITY;
#pragma unroll
    for (int i = 0; i < kNumbers; ++i) {
      const int d = lane + i * kWarpSize;
      const bool inside = row < work.num_rows && d < p.head_dim;
      Q_rmem[row][i] = inside ? widen(p.q[(h.row(0) + row) * p.head_dim + d]) * p.scale : 0.0f;
    }
  }

  for (int first = work.begin + warp * kUnroll; first < work.end; first += kDecodingWarps * kUnroll) {
    float K_rmem[kUnroll][kNumbers], V_rmem[kUnroll][kNumbers];
#pragma unroll
    for (int k = 0; k < kUnroll; ++k) {
      const bool seen = first + k < work.end;
      const int64_t offset = seen ? h.key_offset(first + k) : 0;
#pragma unroll
      for (int i = 0; i < kNumbers; ++i) {
        const int d = lane + i * kWarpSize;
        K_rmem[k][i] = seen && d < p.head_dim ? widen(p.k[offset + d]) : 0.0f;
        V_rmem[k][i] = seen && d < p.head_dim ? widen(p.v[offset + d]) : 0.0f;
      }
    }
#pragma unroll
    for (int row = 0; row < kDecodingRows; ++row) {
      if (row >= work.num_rows) break;
      float score_rmem[kUnroll], new_max = m_rmem[row];
#pragma unroll
      for (int k = 0; k < kUnroll; ++k) {
        float dot = 0.0f;
#pragma unroll
        for (int i = 0; i < kNumbers; ++i) dot = fmaf(Q_rmem[row][i], K_rmem[k][i], dot);
        dot = warp_sum(dot);
        score_rmem[k] = first + k < work.end ? dot : -INFINITY;
        new_max = fmaxf(new_max, score_rmem[k]);
      }
      const float rescale = expf(m_rmem[row] - new_max);  // the first of the keys is always seen: new_max is a number
      m_rmem[row] = new_max;
      l_rmem[row] *= rescale;
#pragma unroll
      for (int i = 0; i < kNumbers; ++i) O_rmem[row][i] *= rescale;
#pragma unroll
      for (int k = 0; k < kUnroll; ++k) {
        const float probability = expf(score_rmem[k] - new_max);
        l_rmem[row] += probability;
#pragma unroll
        for (int i = 0; i < kNumbers; ++i) O_rmem[row][i] = fmaf(probability, V_rmem[k][i], O_rmem[row][i]);
      }
    }
  }

#pragma unroll
  for (int row = 0; row < kDecodingRows; ++row) {
    if (lane == 0) {
      smem.m_smem[warp][row] = m_rmem[row];
      smem.l_smem[warp][row] = l_rmem[row];
    }
#pragma unroll
    for (int i = 0; i < kNumbers; ++i) smem.O_smem[warp][row][lane + i * kWarpSize] = O_rmem[row][i];
  }
  join_warps(smem, h, work.num_rows, parts);
}

// region: join_parts
inline constexpr int kMaxParts = 512;

struct JoinStorage {
  float weight_smem[kMaxParts];
};

// O = Σ exp(L_i − L) · O_i with L = ln Σ exp(L_i): each part counts by its log_sum_exp L_i. Grid (heads, num_tokens),
// block a warp or more.
template <class T>
__global__ void join_parts_kernel(AttentionPointers<T> p, DecodingParts parts, int num_parts) {
  auto& smem = shared_storage<JoinStorage>();
  wait_for_earlier_kernels();
  const int64_t row = static_cast<int64_t>(blockIdx.y) * p.heads + blockIdx.x;
  const float* const log_sum_exp = parts.log_sum_exp + row * num_parts;
  const int thread = static_cast<int>(threadIdx.x), lane = thread % kWarpSize;
  float m = -INFINITY, l = 0.0f;
  for (int i = lane; i < num_parts; i += kWarpSize) m = fmaxf(m, log_sum_exp[i]);
  m = warp_max(m);
  if (m > -INFINITY) {
    for (int i = lane; i < num_parts; i += kWarpSize) l += expf(log_sum_exp[i] - m);
  }
  l = warp_sum(l);
  for (int i = thread; i < num_parts; i += static_cast<int>(blockDim.x)) {
    smem.weight_smem[i] = l > 0.0f ? expf(log_sum_exp[i] - m) / l : 0.0f;
  }
  __syncthreads();
  for (int d = thread; d < p.head_dim; d += static_cast<int>(blockDim.x)) {
    float O = 0.0f;
#pragma unroll 8  // so many parts are under way at once
    for (int i = 0; i < num_parts; ++i) {
      const float weight = smem.weight_smem[i];  // 0: nothing may stand in O
      O = fmaf(weight, weight > 0.0f ? parts.O[(row * num_parts + i) * p.head_dim + d] : 0.0f, O);
    }
    narrow(O, p.out[row * p.head_dim + d]);
  }
  if (thread == 0 && p.log_sum_exp != nullptr) p.log_sum_exp[row] = l == 0.0f ? -INFINITY : m + logf(l);
}
// endregion

}  // namespace llm::LLM_GPU
