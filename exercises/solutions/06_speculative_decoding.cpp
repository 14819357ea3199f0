#include "exercises/06_speculative_decoding.h"

#include <algorithm>
#include <numeric>

namespace llm::exercises {

// (1 + α + ... + α^k) / (k · c + v) is 1.29, 1.63, 1.85, 1.98, 2.05, 2.08, 2.08, 2.06 for k = 1 to 8: from four on
// hardly different. 6 and 7 differ in the third decimal.
const int kBestK = 7;
const int kBestKOfFreeVerification = 6;

// The i-th drafted token is added if it and all before it were accepted, with probability αⁱ; the target's own always
// is.
double expected_tokens(double alpha, int k) {
  double tokens = 0.0, probability = 1.0;
  for (int i = 0; i <= k; ++i) {
    tokens += probability;
    probability *= alpha;
  }
  return tokens;
}

bool accepts(std::span<const double> p, std::span<const double> q, int32_t drafted, double uniform) {
  const auto x = static_cast<size_t>(drafted);
  return uniform * q[x] < p[x];
}

std::vector<double> residual_distribution(std::span<const double> p, std::span<const double> q) {
  std::vector<double> residual(p.size());
  for (size_t x = 0; x < p.size(); ++x) residual[x] = std::max(0.0, p[x] - q[x]);
  const double sum = std::accumulate(residual.begin(), residual.end(), 0.0);
  if (sum == 0.0) return {p.begin(), p.end()};
  for (double& probability : residual) probability /= sum;
  return residual;
}

std::vector<int32_t> look_up(std::span<const int32_t> context, int n, int max_tokens) {
  if (std::ssize(context) <= n) return {};
  const auto last = context.end() - n;
  const auto found = std::search(context.begin(), context.end() - 1, last, context.end());
  if (found == context.end() - 1) return {};
  const auto next = found + n;
  return {next, next + std::min<ptrdiff_t>(max_tokens, context.end() - next)};
}

}  // namespace llm::exercises
