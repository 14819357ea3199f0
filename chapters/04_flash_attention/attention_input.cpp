#include "chapters/04_flash_attention/attention_input.h"

#include <algorithm>

namespace llm {

AttentionInput attention_input(const Batch& batch, TensorView q, const KvView& kv) {
  AttentionInput in{q, kv, batch.query_start.view(), batch.context_len.view()};
  for (int64_t s = 0; s < batch.num_seqs(); ++s) {
    in.max_query_len = std::max(in.max_query_len, batch.query_start[s + 1] - batch.query_start[s]);
    in.max_context_len = std::max(in.max_context_len, batch.context_len[s]);
    // What a step was filled up with has no keys, and needs no row of the table.
    require(batch.context_len[s] == 0 || s < kv.block_table.dim(0), "a block table of {} sequences for {}",
            kv.block_table.dim(0), batch.num_seqs());
  }
  return in;
}

void check_shapes(const AttentionInput& in, const AttentionOutput& out) {
  const bool heads_agree = in.kv.k.shape == in.kv.v.shape && in.kv.k.dim(2) == in.q.dim(2) && in.kv_heads() > 0 &&
                           in.heads() % in.kv_heads() == 0 && out.out.shape == in.q.shape;
  require(heads_agree, "attention of q {} over k {} and v {} to {}: the shapes do not agree", in.q.shape.to_string(),
          in.kv.k.shape.to_string(), in.kv.v.shape.to_string(), out.out.shape.to_string());
  require(in.query_start.dim(0) == in.num_seqs() + 1, "attention of {} sequences with {} starts", in.num_seqs(),
          in.query_start.dim(0));
  require(in.max_context_len <= in.kv.block_table.dim(1) * in.kv.block_size, "{} keys in {} blocks of {}",
          in.max_context_len, in.kv.block_table.dim(1), in.kv.block_size);
  require(out.log_sum_exp.data == nullptr || out.log_sum_exp.shape == Shape{in.q.dim(0), in.q.dim(1)},
          "log_sum_exp is {} for q {}", out.log_sum_exp.shape.to_string(), in.q.shape.to_string());
  if (in.head_dim() > kMaxFlashHeadDim) {
    fail_input("head_dim is {}, but flash attention is built for {} at most; run chapter 2 or 3 with this model",
               in.head_dim(), kMaxFlashHeadDim);
  }
}

}  // namespace llm
