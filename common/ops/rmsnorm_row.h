// RMSNorm's factor for one row, for the norm before each sublayer and for that of queries and keys.
#pragma once

#include <cmath>

#include "common/ops/vec.h"

namespace llm {

// 1 / sqrt(mean(x²) + eps). The order of the sum depends on `size` alone.
//   x [size]
inline float rms_factor(const float* x, int64_t size, float eps) {
  constexpr int kChains = 4;
  Vec sums[kChains] = {};
  int64_t i = 0;
  for (; i + kChains * kLanes <= size; i += kChains * kLanes) {
    for (int c = 0; c < kChains; ++c) {
      const Vec v = load(x + i + c * kLanes);
      sums[c] += v * v;
    }
  }
  float squares = sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
  for (; i < size; ++i) squares += x[i] * x[i];
  return 1.0f / std::sqrt(squares / static_cast<float>(size) + eps);
}

}  // namespace llm
