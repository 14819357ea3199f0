#include "chapters/06_speculative_decoding/distribution_check.h"

#include <cmath>

namespace llm {

DistributionCheck check_distribution(std::span<const double> p, const Draft& draft, int64_t num_draws,
                                     Sampler& sampler) {
  const std::span<const double> q = draft.q.empty() ? std::span<const double>() : draft.q[0];
  std::vector<int64_t> counts(p.size(), 0);
  for (int64_t i = 0; i < num_draws; ++i) {
    int32_t token = q.empty() ? draft.tokens[0] : draw(q, sampler.uniform()).id;
    if (!accepts(p, q, token, sampler.uniform())) {
      token = draw(residual_distribution(p, q, token), sampler.uniform()).id;
    }
    ++counts[static_cast<size_t>(token)];
  }
  // The mean of |share − p| is at most its standard deviation, sqrt(p (1 − p) / n). One draw more or less moves the
  // distance by 1 / n at most, so that it exceeds its mean by 3 / sqrt(n) with probability e⁻¹⁸ at most (McDiarmid).
  const auto n = static_cast<double>(num_draws);
  DistributionCheck check{0.0, 3.0 / std::sqrt(n)};
  for (size_t x = 0; x < p.size(); ++x) {
    check.distance += 0.5 * std::abs(static_cast<double>(counts[x]) / n - p[x]);
    check.limit += 0.5 * std::sqrt(p[x] * (1.0 - p[x]) / n);
  }
  return check;
}

}  // namespace llm
