#include <cstring>
#include <limits>

#include "common/ops/argmax.h"

namespace llm::cpu {

TopToken top_token(std::span<const float> logits) {
  size_t best = 0;
  float first = -std::numeric_limits<float>::infinity();
  float second = first;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] > first) {
      second = first;
      first = logits[i];
      best = i;
    } else if (logits[i] > second) {
      second = logits[i];
    }
  }
  return {static_cast<int32_t>(best), first - second};
}

void argmax(TensorView logits, Workspace&, TensorView out) {
  const auto width = static_cast<size_t>(logits.dim(1));
  for (int64_t row = 0; row < logits.dim(0); ++row) {
    const TopToken top = top_token({logits.as<float>() + row * logits.dim(1), width});
    std::memcpy(out.as<int32_t>() + 2 * row, &top, sizeof top);
  }
}

}  // namespace llm::cpu
