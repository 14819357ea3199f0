// How the chapter's kernels find a head's queries, keys and values.
#pragma once

#include <bit>
#include <cmath>

#include "chapters/04_flash_attention/attention_input.h"
#include "common/cuda/launch.h"
#include "common/cuda/numbers.cuh"
#include "common/cuda/ptx.cuh"
#include "common/cuda/warp.cuh"

namespace llm::LLM_GPU {

inline constexpr float kLog2E = 1.44269504088896341f;

// AttentionInput and AttentionOutput as a kernel takes them.
template <class T>
struct AttentionPointers {
  const T *q, *k, *v;
  T* out;
  float* log_sum_exp;  // null: not wanted
  const int32_t *query_start, *context_len, *block_table;
  int heads, kv_heads, head_dim, block_size, max_blocks;
  int block_shift;  // key >> block_shift is the key's block; -1: only a division tells
  bool causal;
  float scale;  // 1 / sqrt(head_dim)
};

inline int block_shift(int block_size) {
  const auto size = static_cast<unsigned>(block_size);
  return std::has_single_bit(size) ? std::countr_zero(size) : -1;
}

template <class T>
AttentionPointers<T> attention_pointers(const AttentionInput& in, const AttentionOutput& out) {
  return {numbers<T>(in.q),
          numbers<T>(in.kv.k),
          numbers<T>(in.kv.v),
          numbers<T>(out.out),
          numbers<float>(out.log_sum_exp),
          numbers<int32_t>(in.query_start),
          numbers<int32_t>(in.context_len),
          numbers<int32_t>(in.kv.block_table),
          in.heads(),
          in.kv_heads(),
          in.head_dim(),
          in.kv.block_size,
          static_cast<int>(in.kv.block_table.dim(1)),
          block_shift(in.kv.block_size),
          in.causal,
          1.0f / std::sqrt(static_cast<float>(in.head_dim()))};
}

// One query head of one sequence: its queries are rows 0 .. query_len - 1, its keys 0 .. context_len - 1.
template <class T>
struct HeadView {
  AttentionPointers<T> p;
  int head, kv_head, first_token, query_len, context_len;
  const int32_t* table;  // the sequence's row of the block table
  int first_slot;        // of key 0 where all keys stand in one block, as in a contiguous cache; else -1

  __device__ HeadView(const AttentionPointers<T>& pointers, int sequence, int head_in)
      : p(pointers), head(head_in), kv_head(head_in / (p.heads / p.kv_heads)) {
    first_token = p.query_start[sequence];
    query_len = p.query_start[sequence + 1] - first_token;
    context_len = p.context_len[sequence];
    table = p.block_table + static_cast<int64_t>(sequence) * p.max_blocks;
    first_slot = p.max_blocks == 1 && context_len > 0 ? table[0] * p.block_size : -1;
  }

  // How many keys a query sees.
  __device__ int visible(int query) const {
    return p.causal ? max(context_len - query_len + query + 1, 0) : context_len;
  }
  // How many keys the last of `num_queries` queries from `first` on sees, the most of them.
  __device__ int visible_to_any(int first, int num_queries) const {
    return visible(min(first + num_queries, query_len) - 1);
  }

  // Where a query's number 0 stands in q and out.
  __device__ int64_t query_offset(int query) const { return (row(query)) * p.head_dim; }
  // Where a query stands in log_sum_exp and in other arrays of [num_tokens, heads].
  __device__ int64_t row(int query) const { return static_cast<int64_t>(first_token + query) * p.heads + head; }
  // Where a key's number 0 stands in k and v.
  __device__ int64_t key_offset(int key) const { return slot_offset(slot(key)); }
  __device__ int64_t slot_offset(int slot) const {
    return (static_cast<int64_t>(slot) * p.kv_heads + kv_head) * p.head_dim;
  }
  __device__ int slot(int key) const {
    if (first_slot >= 0) return first_slot + key;
    const int block = p.block_shift >= 0 ? key >> p.block_shift : key / p.block_size;
    return table[block] * p.block_size + (key - block * p.block_size);
  }
};

// Calls run with head_dim rounded up to a size for which there are kernels, as an integral constant; what a head has
// less is filled with zeros.
template <class Run>
void with_head_dim(int head_dim, Run run) {
  if (head_dim <= 32) return run(std::integral_constant<int, 32>{});
  if (head_dim <= 64) return run(std::integral_constant<int, 64>{});
  run(std::integral_constant<int, 128>{});
}

}  // namespace llm::LLM_GPU
