// One round of drafting and verifying, and what many of them amount to.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace llm {

struct Round {
  std::vector<int32_t> drafted;
  std::vector<int32_t> added;              // to the text: the accepted ones of `drafted`, then the target's own
  double draft_ms = 0.0, verify_ms = 0.0;  // of all sequences of the step together

  int64_t num_accepted() const;
};

struct RoundCounts {
  int64_t rounds = 0, drafted = 0, accepted = 0, tokens = 0;
  int64_t judged = 0;                            // drafted tokens before which none was rejected
  std::vector<int64_t> drafted_at, accepted_at;  // [largest draft] by position in the draft

  double tokens_per_round() const;
  // Of the tokens that were judged, the share that was accepted: the formulas' α. NaN where there are none.
  double acceptance() const;
  // [largest draft] of the rounds that drafted a token there, the share that accepted it.
  std::vector<double> acceptance_by_position() const;
};

RoundCounts count_rounds(std::span<const Round> rounds);

}  // namespace llm
