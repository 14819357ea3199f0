// Acceptance decided by a coin: what rounds take and bring where the weights are random and agree on nothing.
#pragma once

#include <random>

#include "chapters/06_speculative_decoding/drafter.h"

namespace llm {

// Each drafted token stands with probability `alpha`, up to the first that does not, whatever the target says. The text
// is then nobody's; the passes that make it are the real ones.
class SimulatedAcceptance {
 public:
  explicit SimulatedAcceptance(double alpha, uint64_t seed = 0) : alpha_(alpha), random_(seed) {}

  // `verified` is what really stands; its last token follows here as well.
  std::vector<TopToken> accept(const Draft& draft, const std::vector<TopToken>& verified) {
    std::vector<TopToken> accepted;
    for (const int32_t token : draft.tokens) {
      if (!std::bernoulli_distribution(alpha_)(random_)) break;
      accepted.push_back({token, 0.0f});
    }
    accepted.push_back(verified.back());
    return accepted;
  }

 private:
  double alpha_;
  std::mt19937_64 random_;
};

}  // namespace llm
