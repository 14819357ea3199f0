// Operands of benchmarks: numbers that are not zeros.
#pragma once

#include "common/tensor/tensor.h"

namespace llm {

// Numbers between −1/2 and 1/2, each a hash of its place, so that all threads make them. f32 or bf16, on the CPU.
inline Tensor bench_tensor(Shape shape, DType dtype = DType::f32, uint32_t seed = 0) {
  Tensor tensor(shape, dtype);
  const TensorView view = tensor;
  const int64_t count = shape.numel();
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < count; ++i) {
    uint32_t bits = (static_cast<uint32_t>(i) ^ seed << 24) * 2654435769u;  // Knuth's multiplier, then xorshift
    bits = (bits ^ (bits >> 16)) * 0x7feb352du;
    const float value = static_cast<float>((bits ^ (bits >> 15)) >> 8) * 0x1p-24f - 0.5f;
    if (dtype == DType::bf16) {
      static_cast<bf16*>(view.data)[i] = to_bf16(value);
    } else {
      static_cast<float*>(view.data)[i] = value;
    }
  }
  return tensor;
}

}  // namespace llm
