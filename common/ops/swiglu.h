// SwiGLU: out = silu(gate) · up, with silu(z) = z / (1 + exp(−z)).
// Shazeer, "GLU Variants Improve Transformer", 2020.
#pragma once

#include "common/tensor/tensor.h"

namespace llm {

// gate_up [rows, 2 · width], gate first   out [rows, width]
using SwigluFn = void (*)(TensorView gate_up, TensorView out);

namespace cpu {
void swiglu(TensorView gate_up, TensorView out);
}  // namespace cpu

}  // namespace llm
