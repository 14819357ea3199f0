// What every step of this chapter computes, and the one signature that they share.
#pragma once

#include "common/tensor/batch.h"
#include "common/tensor/kv_view.h"
#include "common/tensor/workspace.h"

namespace llm {

inline constexpr int kMaxFlashHeadDim = 128;

// region: attention_input
// The queries of some sequences and the keys and values that each may see. Query head h reads KV head
// h / (heads / kv_heads). A sequence's queries are its last positions: with `causal`, query i of n over m keys sees the
// keys up to m − n + i, so that 2 queries over 5 keys see 4 and 5 of them, and of 5 queries over 2 keys the first
// three see none.
struct AttentionInput {
  TensorView q;             // [num_tokens, heads, head_dim]
  KvView kv;                // k, v [num_slots, kv_heads, head_dim], read through the block table
  Int32View query_start;    // [num_seqs + 1] sequence s has the queries query_start[s] .. query_start[s + 1] - 1
  Int32View context_len;    // [num_seqs] keys of each sequence
  int max_query_len = 0;    // of any sequence
  int max_context_len = 0;  // likewise
  bool causal = true;
  int tile = 0;  // rows of a tile, where a step has several to choose from; 0: its own choice

  int num_seqs() const { return static_cast<int>(context_len.dim(0)); }
  int num_tokens() const { return static_cast<int>(q.dim(0)); }
  int heads() const { return static_cast<int>(q.dim(1)); }
  int kv_heads() const { return static_cast<int>(kv.k.dim(1)); }
  int head_dim() const { return static_cast<int>(q.dim(2)); }
};

// A query that sees no key: out is 0, log_sum_exp is −inf.
struct AttentionOutput {
  TensorView out;          // [num_tokens, heads, head_dim]
  TensorView log_sum_exp;  // [num_tokens, heads], f32: ln Σ exp(score); empty where nobody asks for it
};

using AttentionStep = void (*)(const AttentionInput& in, Workspace& workspace, const AttentionOutput& out);
// endregion

// What the loss changes by with each number of q, k and v, shaped as they are.
struct AttentionGradients {
  TensorView q, k, v;
};

using AttentionBackward = void (*)(const AttentionInput& in, const AttentionOutput& forward, TensorView out_gradient,
                                   Workspace& workspace, const AttentionGradients& gradients);

// The steps of one device, in the order in which the chapter takes them; null where there is none.
struct AttentionSteps {
  AttentionStep standard = nullptr;
  AttentionStep flash_1 = nullptr;
  AttentionStep flash_2 = nullptr;   // on the CPU: the flash attention that is tiled for its cache
  AttentionStep decoding = nullptr;  // one query a sequence
  AttentionBackward backward = nullptr;
};

// Throws InputError where the device is not there.
const AttentionSteps& attention_steps(Device device);

// A batch's tokens over all that its memory holds of their sequences, causal.
AttentionInput attention_input(const Batch& batch, TensorView q, const KvView& kv);

// Throws std::logic_error where shapes disagree, and InputError where head_dim is too large for this chapter.
void check_shapes(const AttentionInput& in, const AttentionOutput& out);

}  // namespace llm
