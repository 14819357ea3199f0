// Whether two ways of generating said the same, by the one rule of the whole book.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/tensor/dtype.h"

namespace llm {

// A reference's top two logits closer than this are a near-tie, where another order of summation may choose the other.
// bf16 has 8 bits of precision: logits of order 10 are then a sixteenth apart.
constexpr float near_tie(DType dtype) { return dtype == DType::bf16 ? 6.25e-2f : 1e-4f; }

struct Difference {
  int64_t index;             // of the generated token
  int32_t expected, actual;  // token ids; -1 where the text ended
  bool at_near_tie;
};

struct Comparison {
  bool same = true;       // identical, or first different at a near-tie
  int64_t near_ties = 0;  // in the reference, counted whether or not anything differs
  std::optional<Difference> first_difference;
};

// Compares `actual` with the reference's tokens. `top_gaps` holds, for each token of the reference, how near the choice
// was to another, as TopToken tells; `tolerance` is near_tie's.
Comparison compare_outputs(const std::vector<int32_t>& reference, const std::vector<float>& top_gaps,
                           const std::vector<int32_t>& actual, float tolerance);

// "yes", or "no: token 17 is 412, expected 88", with the near-ties where there are any.
std::string describe(const Comparison& comparison);

}  // namespace llm
