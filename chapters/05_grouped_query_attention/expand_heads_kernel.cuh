// Keys and values repeated for every head of their group, as a library call that knows no groups wants them.
#pragma once

#include "chapters/04_flash_attention/attention_view.cuh"

namespace llm::LLM_GPU {

template <class T>
struct ExpandedHeads {
  T *k, *v;              // [num_seqs, max_context_len, heads, head_dim]
  int32_t* block_table;  // [num_seqs]: each sequence's keys stand in a block of their own
};

// Grid (max_context_len, num_seqs). Each number is read once and written for every head of the group.
template <class T>
__global__ void expand_heads_kernel(AttentionPointers<T> p, ExpandedHeads<T> expanded) {
  wait_for_earlier_kernels();
  const int key = static_cast<int>(blockIdx.x), sequence = static_cast<int>(blockIdx.y);
  const int group = p.heads / p.kv_heads;
  const HeadView<T> first_head(p, sequence, 0);
  if (key == 0 && threadIdx.x == 0) expanded.block_table[sequence] = sequence;
  if (key >= first_head.context_len) return;
  const int64_t from = first_head.key_offset(key);
  const int64_t to = (static_cast<int64_t>(sequence) * gridDim.x + key) * p.heads * p.head_dim;
  // region: copies
  for (int i = static_cast<int>(threadIdx.x); i < p.kv_heads * p.head_dim; i += static_cast<int>(blockDim.x)) {
    const int kv_head = i / p.head_dim, d = i % p.head_dim;
    const T k = p.k[from + i], v = p.v[from + i];
    for (int member = 0; member < group; ++member) {
      const int64_t at = to + static_cast<int64_t>(kv_head * group + member) * p.head_dim + d;
      expanded.k[at] = k;
      expanded.v[at] = v;
    }
  }
  // endregion
}

}  // namespace llm::LLM_GPU
