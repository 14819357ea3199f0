// The chapter's files by device: what attention_steps chooses from.
#pragma once

#include "chapters/04_flash_attention/attention_input.h"

#define LLM_DECLARE_ATTENTION_STEPS                                                                                 \
  /* 1: the scores of all queries and keys in memory. */                                                            \
  void standard_attention(const AttentionInput& in, Workspace& workspace, const AttentionOutput& out);              \
  /* 3: tiles in shared memory, keys in the outer loop. */                                                          \
  void flash_attention_1(const AttentionInput& in, Workspace& workspace, const AttentionOutput& out);               \
  /* 4: queries in the outer loop, on tensor cores where the numbers have 16 bits. */                               \
  void flash_attention_2(const AttentionInput& in, Workspace& workspace, const AttentionOutput& out);               \
  /* 5: one query a sequence, the keys shared out among blocks. */                                                  \
  void flash_decoding(const AttentionInput& in, Workspace& workspace, const AttentionOutput& out);                  \
  /* 6: the gradients, with the probabilities computed again from log_sum_exp. Slots that no sequence has get 0. */ \
  void flash_attention_backward(const AttentionInput& in, const AttentionOutput& forward, TensorView out_gradient,  \
                                Workspace& workspace, const AttentionGradients& gradients);

namespace llm::cuda {
LLM_DECLARE_ATTENTION_STEPS
}
namespace llm::simt {
LLM_DECLARE_ATTENTION_STEPS
}

namespace llm::cpu {
// 7: tiles that fit in a core's cache; q and out are f32, keys and values f32 or bf16.
void flash_attention(const AttentionInput& in, Workspace& workspace, const AttentionOutput& out);
}  // namespace llm::cpu
