// The likeliest token of each row of logits: what greedy decoding takes.
#pragma once

#include <span>

#include "common/tensor/workspace.h"

namespace llm {

// Two 32-bit words, as a device writes them.
struct TopToken {
  int32_t id;  // of the largest logit, the first of equals; NaNs are passed over, and a row of nothing else gives 0
  float gap;   // how near the choice was to another: the largest logit minus the second largest, or gap_of_draw
};

// logits [rows, vocab_size] f32   out [rows, 2] i32: TopTokens
using ArgmaxFn = void (*)(TensorView logits, Workspace& workspace, TensorView out);

namespace cpu {
TopToken top_token(std::span<const float> logits);
void argmax(TensorView logits, Workspace& workspace, TensorView out);
}  // namespace cpu

}  // namespace llm
