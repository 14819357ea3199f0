#include "common/ops/sum_rows.h"
#include "common/ops/vec.h"

namespace llm::cpu {

void sum_rows(TensorView x, TensorView out) {
  constexpr int kChains = 8;  // enough additions under way at once to wait for memory alone
  constexpr int64_t kStep = kChains * kLanes;
  const int64_t rows = x.dim(0), width = x.dim(1);
  const float* const numbers = x.as<float>();
  float* const sums = out.as<float>();
#pragma omp parallel for schedule(static)
  for (int64_t r = 0; r < rows; ++r) {
    const float* const row = numbers + r * width;
    Vec chains[kChains] = {};
    int64_t i = 0;
    for (; i + kStep <= width; i += kStep) {
      for (int c = 0; c < kChains; ++c) chains[c] += load(row + i + c * kLanes);
    }
    for (int c = 1; c < kChains; ++c) chains[0] += chains[c];
    float total = sum(chains[0]);
    for (; i < width; ++i) total += row[i];
    sums[r] = total;
  }
}

}  // namespace llm::cpu
