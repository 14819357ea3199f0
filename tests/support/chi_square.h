// Whether draws follow a distribution: Pearson's chi-square test.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace llm {

// The statistic of the counts against the distribution; infinite where something impossible came.
inline double chi_square(const std::vector<int64_t>& counts, const std::vector<double>& distribution, int64_t draws) {
  double sum = 0.0;
  for (size_t i = 0; i < counts.size(); ++i) {
    const double expected = distribution[i] * static_cast<double>(draws);
    if (expected == 0.0 && counts[i] > 0) return std::numeric_limits<double>::infinity();
    const double difference = static_cast<double>(counts[i]) - expected;
    if (expected > 0.0) sum += difference * difference / expected;
  }
  return sum;
}

// What the statistic exceeds once in 10,000 samples: Wilson and Hilferty, "The Distribution of Chi-Square", 1931.
inline double chi_square_limit(const std::vector<double>& distribution) {
  double freedom = -1.0;
  for (const double p : distribution) freedom += p > 0.0;
  const double v = 2.0 / (9.0 * freedom);
  return freedom * std::pow(1.0 - v + 3.719 * std::sqrt(v), 3.0);
}

}  // namespace llm
