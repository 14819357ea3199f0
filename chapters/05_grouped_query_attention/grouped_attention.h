// The chapter's kernels by device: what grouped_steps chooses from.
#pragma once

#include "chapters/04_flash_attention/attention_input.h"

namespace llm {
// As many heads as a tile of a tensor core's product has rows; a larger group is read for so many heads at a time.
inline constexpr int kMaxHeadsAtOnce = 16;
}  // namespace llm

#define LLM_DECLARE_GROUPED_ATTENTION                                                                  \
  void expanded_attention(const AttentionInput& in, Workspace& workspace, const AttentionOutput& out); \
  void per_head_attention(const AttentionInput& in, Workspace& workspace, const AttentionOutput& out); \
  void grouped_attention(const AttentionInput& in, Workspace& workspace, const AttentionOutput& out);

namespace llm::cuda {
LLM_DECLARE_GROUPED_ATTENTION
}
namespace llm::simt {
LLM_DECLARE_GROUPED_ATTENTION
}
