// Matrix product with a weight: out = x · weightᵀ (+ bias), batch-invariant on the CPU.
#pragma once

#include <span>

#include "common/tensor/tensor.h"

namespace llm {

// A weight of a linear layer, prepared once for the product. The layout of `data` is the device's own affair:
//   cpu   panels of kPanelWidth output features, each [in_features, kPanelWidth], the last one filled with zeros
//   simt, cuda  [out_features, in_features]
struct Matrix {
  Tensor data;  // f32 or bf16
  int64_t out_features = 0;
  int64_t in_features = 0;
};

// Stacks `parts`, each [out_features_i, in_features] in f32, bf16 or f16, on top of each other, as Q, K
// and V are, and rounds them to `dtype` (f32 or bf16).
using MakeMatrixFn = Matrix (*)(std::span<const TensorView> parts, DType dtype);

// out = x · weightᵀ, plus `bias` where it is not empty.
//   x [rows, in_features]   bias [out_features] f32   out [rows, out_features], not x
// Sums are f32 whatever the weight's dtype. On the CPU each output is summed in the same order whatever the number of
// rows and threads, so its bits do not depend on what else is in the batch.
using MatmulFn = void (*)(TensorView x, const Matrix& weight, TensorView bias, TensorView out);

namespace cpu {
Matrix make_matrix(std::span<const TensorView> parts, DType dtype);
void matmul(TensorView x, const Matrix& weight, TensorView bias, TensorView out);
}  // namespace cpu

}  // namespace llm
