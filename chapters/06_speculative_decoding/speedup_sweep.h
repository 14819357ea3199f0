// Where speculation stops paying: drafters, temperatures and numbers of texts, each with drafts of several lengths.
#pragma once

#include <functional>
#include <string>

#include "chapters/06_speculative_decoding/measure_speedup.h"

namespace llm {

struct SweptSpeedups {
  std::string drafter;
  double temperature = 0.0;
  int64_t num_texts = 0;
  std::vector<MeasuredSpeedup> rows;  // by k
};

// `problem_of` gives a drafter's problem of one prompt. The texts of a batch begin with that prompt and go on from
// different places in `text`, which came after it.
std::vector<SweptSpeedups> sweep_speedups(const std::function<SpeedupProblem(const std::string& drafter)>& problem_of,
                                          const std::vector<std::string>& drafters, const std::vector<int32_t>& text);

}  // namespace llm
