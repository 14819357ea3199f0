#include "chapters/06_speculative_decoding/rejection_sampling.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace llm {

namespace {

double probability(std::span<const double> q, int32_t token, int32_t drafted) {
  return q.empty() ? static_cast<double>(token == drafted) : q[static_cast<size_t>(token)];
}

}  // namespace

double acceptance_rate(std::span<const double> p, std::span<const double> q) {
  double rate = 0.0;
  for (size_t x = 0; x < p.size(); ++x) rate += std::min(p[x], q[x]);
  return rate;
}

// region: rejection
bool accepts(std::span<const double> p, std::span<const double> q, int32_t drafted, double uniform) {
  const double p_x = p[static_cast<size_t>(drafted)], q_x = probability(q, drafted, drafted);
  return p_x > 0.0 && (p_x >= q_x || uniform * q_x < p_x);
}

std::vector<double> residual_distribution(std::span<const double> p, std::span<const double> q, int32_t drafted) {
  std::vector<double> residual(p.begin(), p.end());
  for (size_t x = 0; x < p.size(); ++x) {
    residual[x] = std::max(0.0, p[x] - probability(q, static_cast<int32_t>(x), drafted));
  }
  const double sum = std::accumulate(residual.begin(), residual.end(), 0.0);
  if (sum <= 0.0) return {p.begin(), p.end()};
  for (double& probability : residual) probability /= sum;
  return residual;
}

std::vector<TopToken> accept_sampled(TensorView logits, const Draft& draft, Sampler& sampler) {
  constexpr float kNoGap = std::numeric_limits<float>::quiet_NaN();
  const auto vocab_size = static_cast<size_t>(logits.dim(1));
  const size_t num_drafted = draft.tokens.size();
  std::vector<TopToken> tokens;
  for (size_t i = 0;; ++i) {
    const std::span<const float> row{logits.as<float>() + i * vocab_size, vocab_size};
    const std::vector<double> p = token_distribution(row, sampler.params());
    if (i == num_drafted) {
      tokens.push_back({draw(p, sampler.uniform()).id, kNoGap});
      return tokens;
    }
    const int32_t drafted = draft.tokens[i];
    const std::span<const double> q = draft.q.empty() ? std::span<const double>() : draft.q[i];
    if (!accepts(p, q, drafted, sampler.uniform())) {
      tokens.push_back({draw(residual_distribution(p, q, drafted), sampler.uniform()).id, kNoGap});
      return tokens;
    }
    tokens.push_back({drafted, kNoGap});
  }
}
// endregion

// region: greedy
std::vector<TopToken> accept_greedy(std::span<const TopToken> likeliest, const Draft& draft) {
  size_t num_accepted = 0;
  while (num_accepted < draft.tokens.size() && draft.tokens[num_accepted] == likeliest[num_accepted].id) ++num_accepted;
  return {likeliest.begin(), likeliest.begin() + static_cast<ptrdiff_t>(num_accepted) + 1};
}
// endregion

}  // namespace llm
