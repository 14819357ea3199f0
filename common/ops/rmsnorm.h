// RMSNorm: out = x / sqrt(mean(x²) + eps) · weight, fused with the residual add before it.
// Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019.
#pragma once

#include "common/tensor/tensor.h"

namespace llm {

// x += delta; out = rmsnorm(x) · weight, row by row. An empty delta adds nothing.
//   x, delta, out [rows, hidden_size]   weight [hidden_size] f32   out is neither x nor delta
using AddRmsNormFn = void (*)(TensorView x, TensorView delta, TensorView weight, float eps, TensorView out);

namespace cpu {
void add_rmsnorm(TensorView x, TensorView delta, TensorView weight, float eps, TensorView out);
}  // namespace cpu

}  // namespace llm
