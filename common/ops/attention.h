// The second half of the seam, how attention reads keys and values, and its plainest form.
#pragma once

#include "common/tensor/batch.h"
#include "common/tensor/kv_view.h"
#include "common/tensor/workspace.h"

namespace llm {

// region: attend_fn
// out = softmax(Q · Kᵀ / sqrt(head_dim)) · V for every new token over the keys up to its own position (causal).
//   q, out [num_tokens, heads, head_dim]; q after RoPE. Head h reads KV head h / (heads / kv_heads).
using AttendFn = void (*)(const Batch& batch, TensorView q, const KvView& kv, Workspace& workspace, TensorView out);
// endregion

namespace cpu {
// One query at a time, one head at a time: all scores, their softmax, the weighted sum. Vaswani et al., "Attention Is
// All You Need", 2017, equation 1. Reads through the block table. The order of each sum depends only on the query's
// position, so the bits do not depend on what else is in the batch or on the number of threads.
void attend(const Batch& batch, TensorView q, const KvView& kv, Workspace& workspace, TensorView out);
}  // namespace cpu

}  // namespace llm
