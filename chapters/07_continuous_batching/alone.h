// Each request by itself: what its text must be, and how fast it goes without company.
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "chapters/07_continuous_batching/sequence.h"
#include "common/program/loaded_model.h"
#include "common/program/same_output.h"

namespace llm {

// Chapter 2's text of a request, from a contiguous cache; stop strings are not looked for. On the CPU it is chapter 1's
// to the last bit.
Generation generate_alone(const Transformer& model, AttendFn attend, const Request& request);

// By the rule of the whole book. A text that a stop string or its client ended must be how the other one begins.
Comparison compare_alone(const Generation& alone, const Sequence& sequence, float tolerance);

// The requests of these sequences, one after the other.
struct OneByOne {
  OneByOne(const Transformer& model, AttendFn attend, const std::deque<Sequence>& served);

  double tokens_per_second() const { return static_cast<double>(num_tokens) / seconds; }

  std::vector<std::optional<Generation>> texts;  // by sequence id; none of one that was rejected
  int64_t num_tokens = 0;
  double seconds = 0.0;
};

struct SameTexts {
  int64_t num_same = 0, num_compared = 0;
  int64_t num_at_near_ties = 0;    // of the same ones, those that differ from a near-tie on
  std::string first_that_differs;  // a sentence; empty where there is none
  bool all() const { return num_same == num_compared; }
};
SameTexts compare_all(const OneByOne& alone, const std::deque<Sequence>& served, float tolerance);

}  // namespace llm
