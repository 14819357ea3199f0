// Whether a round's rule really draws from the target's distribution: tried with many draws.
#pragma once

#include "chapters/06_speculative_decoding/rejection_sampling.h"

namespace llm {

struct DistributionCheck {
  double distance;  // ½ Σ |share of the draws − p|: the total variation
  double limit;     // what honest draws exceed less than once in ten million times
};

// Draws from q, or takes the drafted token where none was drawn, and lets it be accepted or replaced, `num_draws`
// times.
//   p [vocab_size]   draft: of at least one token; the first is what is drawn again and again
DistributionCheck check_distribution(std::span<const double> p, const Draft& draft, int64_t num_draws,
                                     Sampler& sampler);

}  // namespace llm
