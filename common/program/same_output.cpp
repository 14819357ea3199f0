#include "common/program/same_output.h"

#include <fmt/format.h>

#include <algorithm>

namespace llm {

Comparison compare_outputs(const std::vector<int32_t>& reference, const std::vector<float>& top_gaps,
                           const std::vector<int32_t>& actual, float tolerance) {
  Comparison result;
  result.near_ties = std::count_if(top_gaps.begin(), top_gaps.end(), [&](float gap) { return gap < tolerance; });
  const size_t longest = std::max(reference.size(), actual.size());
  for (size_t i = 0; i < longest; ++i) {
    const int32_t expected = i < reference.size() ? reference[i] : -1;
    const int32_t got = i < actual.size() ? actual[i] : -1;
    if (expected == got) continue;
    const bool at_near_tie = i < top_gaps.size() && top_gaps[i] < tolerance;
    result.first_difference = Difference{static_cast<int64_t>(i), expected, got, at_near_tie};
    result.same = at_near_tie;
    break;
  }
  return result;
}

std::string describe(const Comparison& comparison) {
  std::string text = comparison.same ? "yes" : "no";
  if (comparison.first_difference) {
    const Difference& difference = *comparison.first_difference;
    text += fmt::format("{} token {} is {}, expected {}", comparison.same ? ", up to a near-tie:" : ":",
                        difference.index, difference.actual, difference.expected);
  }
  if (comparison.near_ties > 0) text += fmt::format(" (near-ties in the reference: {})", comparison.near_ties);
  return text;
}

}  // namespace llm
