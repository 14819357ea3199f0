// The peer of our products: cuBLAS, whatever the number of rows.
#pragma once

#include "common/tensor/tensor.h"

#define LLM_DECLARE_CUBLAS_PRODUCT                                                                              \
  /* out = x · weightᵀ: x [rows, in_features], weight [out_features, in_features], both f32 or both bf16; */ \
  /* out [rows, out_features] f32 */                                                                            \
  void cublas_product(TensorView x, TensorView weight, TensorView out);

namespace llm::cuda {
LLM_DECLARE_CUBLAS_PRODUCT
}
namespace llm::simt {
LLM_DECLARE_CUBLAS_PRODUCT
}
