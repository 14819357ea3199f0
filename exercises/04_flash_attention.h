// The exercises of chapter 4; `./test exercise 4` checks them.
#pragma once

#include <cstdint>
#include <vector>

#include "common/tensor/tensor.h"

namespace llm::exercises {

extern const int64_t kScoreBytes, kLogSumExpBytes;       // 4.1
extern const double kThirdMax, kThirdSum, kThirdOutput;  // 4.2

// 4.3. What attention over some of the keys says.
struct PartialOutput {
  std::vector<double> out;  // [head_dim] Σ exp(score) · v / Σ exp(score); zeros where there are no keys
  double log_sum_exp;       // ln Σ exp(score); −inf where there are no keys
};
PartialOutput merge(const PartialOutput& a, const PartialOutput& b);

}  // namespace llm::exercises

namespace llm::simt::exercises {
// 4.4 and 4.5, in 04_softmax.cu.   S, P [rows, n] f32, on the device
void softmax(TensorView S, TensorView P);
}  // namespace llm::simt::exercises
