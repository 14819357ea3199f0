#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "common/ops/sample.h"

namespace llm {

namespace {

struct Candidate {
  int32_t id;
  double probability;
};

// exp((logit − largest) / temperature), not yet normalized, in the order of the ids. NaN counts as never.
std::vector<Candidate> candidates_of(std::span<const float> logits, double largest, double temperature) {
  std::vector<Candidate> candidates;
  candidates.reserve(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) {
    const double weight = std::exp((logits[i] - largest) / temperature);
    if (weight > 0.0) candidates.push_back({static_cast<int32_t>(i), weight});
  }
  return candidates;
}

void put_likeliest_first(std::vector<Candidate>& candidates) {
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.probability > b.probability; });
}

double total(const std::vector<Candidate>& candidates) {
  return std::accumulate(candidates.begin(), candidates.end(), 0.0,
                         [](double sum, const Candidate& c) { return sum + c.probability; });
}

void keep_top_p(std::vector<Candidate>& candidates, double top_p) {
  const double enough = top_p * total(candidates);
  double sum = 0.0;
  size_t kept = 0;
  while (kept < candidates.size() && (kept == 0 || sum < enough)) sum += candidates[kept++].probability;
  candidates.resize(kept);
}

void keep_min_p(std::vector<Candidate>& candidates, double min_p) {
  const double least = min_p * candidates.front().probability;
  while (candidates.back().probability < least) candidates.pop_back();
}

}  // namespace

// region: token_distribution
std::vector<double> token_distribution(std::span<const float> logits, const SamplingParams& params) {
  std::vector<double> distribution(logits.size(), 0.0);
  const auto best = static_cast<size_t>(cpu::top_token(logits).id);
  // Greedy; and where no logit is finite there is nothing to divide by.
  if (params.temperature == 0.0 || !std::isfinite(logits[best])) {
    distribution[best] = 1.0;
    return distribution;
  }
  std::vector<Candidate> candidates = candidates_of(logits, logits[best], params.temperature);
  const bool is_filtered = params.top_k > 0 || params.top_p < 1.0 || params.min_p > 0.0;
  if (is_filtered) put_likeliest_first(candidates);
  if (params.top_k > 0 && static_cast<size_t>(params.top_k) < candidates.size()) {
    candidates.resize(static_cast<size_t>(params.top_k));
  }
  if (params.top_p < 1.0) keep_top_p(candidates, params.top_p);
  if (params.min_p > 0.0) keep_min_p(candidates, params.min_p);
  const double sum = total(candidates);
  for (const Candidate& c : candidates) distribution[static_cast<size_t>(c.id)] = c.probability / sum;
  return distribution;
}
// endregion

Drawn draw(std::span<const double> distribution, double uniform) {
  double sum = 0.0, before = 0.0;
  int32_t id = 0;
  size_t i = 0;
  for (; i < distribution.size() && uniform >= sum; ++i) {
    if (distribution[i] <= 0.0) continue;
    id = static_cast<int32_t>(i);
    before = sum;
    sum += distribution[i];
  }  // rounding may leave the sum a little short of 1: then it is the last possible token
  const bool is_first = before == 0.0;
  const bool is_last = std::all_of(distribution.begin() + static_cast<ptrdiff_t>(i), distribution.end(),
                                   [](double probability) { return probability <= 0.0; });
  return {id, std::min(is_first ? 1.0 : uniform - before, is_last ? 1.0 : sum - uniform)};
}

void cpu::sample(TensorView logits, TensorView rows, Workspace& workspace, TensorView out) {
  argmax(logits, workspace, out);
  for (int64_t i = 0; i < logits.dim(0); ++i) {
    SampleRow row;
    std::memcpy(static_cast<void*>(&row), rows.as<int32_t>() + i * kSampleRowWords, sizeof row);
    const std::span<const float> row_logits{logits.as<float>() + i * logits.dim(1), static_cast<size_t>(logits.dim(1))};
    const float largest = row_logits[static_cast<size_t>(out.as<int32_t>()[2 * i])];
    if (row.params.temperature == 0.0 || !std::isfinite(largest)) continue;
    const Drawn drawn = draw(token_distribution(row_logits, row.params), row.uniform);
    const TopToken token{drawn.id, static_cast<float>(gap_of_draw(drawn.distance, row.params.temperature))};
    std::memcpy(out.as<int32_t>() + 2 * i, &token, sizeof token);
  }
}

}  // namespace llm
