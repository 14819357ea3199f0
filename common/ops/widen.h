// Weights as they are stored, as the floats that they stand for.
#pragma once

#include "common/tensor/tensor.h"

namespace llm {

// out[i] = from[first + i] for i < count, whatever float dtype `from` has.
inline void widen(const TensorView& from, int64_t first, int64_t count, float* out) {
  const auto copy = [&](const auto* values) {
    for (int64_t i = 0; i < count; ++i) out[i] = to_float(values[first + i]);
  };
  switch (from.dtype) {
    case DType::f32:
      return copy(static_cast<const float*>(from.data));
    case DType::bf16:
      return copy(static_cast<const bf16*>(from.data));
    case DType::f16:
      return copy(static_cast<const f16*>(from.data));
    case DType::i32:
      break;
  }
  require(false, "integers widened to floats");
}

}  // namespace llm
