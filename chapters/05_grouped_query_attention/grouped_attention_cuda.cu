#include "chapters/05_grouped_query_attention/grouped_attention.h"

#include <algorithm>

#include "chapters/04_flash_attention/attention_steps.h"
#include "chapters/05_grouped_query_attention/expand_heads_kernel.cuh"
#include "chapters/05_grouped_query_attention/grouped_attention_kernel.cuh"
#include "common/cuda/context.h"

namespace llm::LLM_GPU {

namespace {

constexpr unsigned kExpandThreads = 128;

void check_decoding(const AttentionInput& in, const AttentionOutput& out) {
  check_shapes(in, out);
  require(in.max_query_len <= 1, "decoding of {} queries a sequence; it takes one", in.max_query_len);
}

void attend(const AttentionInput& in, const AttentionOutput& out, int heads_at_once) {
  check_decoding(in, out);
  with_type(in.q.dtype, [&](auto type) {
    using T = decltype(type);
    const int group = in.heads() / in.kv_heads(), rows = std::min(group, heads_at_once);
    const dim3 grid(1, static_cast<unsigned>(in.kv_heads()) * ceil_div(group, rows),
                    static_cast<unsigned>(in.num_seqs()));
    launch<grouped_attention_kernel<T>>(
        {grid, dim3(kWarpSize, static_cast<unsigned>(rows)), sizeof(GroupStorage), stream()},
        attention_pointers<T>(in, out), rows);
  });
}

}  // namespace

void per_head_attention(const AttentionInput& in, Workspace&, const AttentionOutput& out) { attend(in, out, 1); }

void grouped_attention(const AttentionInput& in, Workspace&, const AttentionOutput& out) {
  attend(in, out, kMaxHeadsAtOnce);
}

void expanded_attention(const AttentionInput& in, Workspace& workspace, const AttentionOutput& out) {
  check_decoding(in, out);
  const Workspace::Scope scratch(workspace);
  const int max_context_len = std::max(in.max_context_len, 1);
  const int64_t num_slots = int64_t{in.num_seqs()} * max_context_len;
  AttentionInput expanded = in;
  expanded.kv = {workspace.take({num_slots, in.heads(), in.head_dim()}, in.kv.k.dtype),
                 workspace.take({num_slots, in.heads(), in.head_dim()}, in.kv.v.dtype),
                 {},
                 workspace.take({in.num_seqs(), 1}, DType::i32),
                 max_context_len};
  with_type(in.q.dtype, [&](auto type) {
    using T = decltype(type);
    launch<expand_heads_kernel<T>>(
        {{static_cast<unsigned>(max_context_len), static_cast<unsigned>(in.num_seqs())}, kExpandThreads, 0, stream()},
        attention_pointers<T>(in, out),
        ExpandedHeads<T>{numbers<T>(expanded.kv.k), numbers<T>(expanded.kv.v),
                         numbers<int32_t>(expanded.kv.block_table)});
  });
  flash_decoding(expanded, workspace, out);
}

}  // namespace llm::LLM_GPU
