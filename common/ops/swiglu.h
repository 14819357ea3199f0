// SwiGLU: out = silu(gate) · up, with silu(z) = z / (1 + exp(−z)).
// Shazeer, "GLU Variants Improve Transformer", 2020.
#pragma once

#include "common/ops/matmul.h"

namespace llm {

// The first half of the feed-forward part: out = silu(x · gateᵀ) · (x · upᵀ).
//   x [rows, in_features]   weight [2 · width, in_features], gate first   out [rows, width]
//   gate_up [rows, 2 · width] f32: scratch for the two products, where they are not gated as they come
using SwigluMatmulFn = void (*)(TensorView x, const Matrix& weight, TensorView gate_up, TensorView out);

namespace cpu {
void swiglu_matmul(TensorView x, const Matrix& weight, TensorView gate_up, TensorView out);
void swiglu(TensorView gate_up, TensorView out);  // the gate alone
}  // namespace cpu

}  // namespace llm
