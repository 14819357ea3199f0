#include "common/sampling/sampler.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numeric>

#include "common/tensor/device_memory.h"

namespace llm {

int32_t argmax(std::span<const float> logits) { return cpu::top_token(logits).id; }

float top_gap(std::span<const float> logits) { return cpu::top_token(logits).gap; }

namespace {

struct Candidate {
  int32_t id;
  double probability;
};

// exp((logit − largest) / temperature), not yet normalized, most likely first. NaN counts as never.
std::vector<Candidate> candidates_of(std::span<const float> logits, double temperature) {
  const double largest = logits[static_cast<size_t>(argmax(logits))];
  std::vector<Candidate> candidates;
  candidates.reserve(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) {
    const double weight = std::exp((logits[i] - largest) / temperature);
    if (weight > 0.0) candidates.push_back({static_cast<int32_t>(i), weight});
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.probability > b.probability; });
  return candidates;
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
  const size_t best = static_cast<size_t>(argmax(logits));
  // Greedy; and where no logit is finite there is nothing to divide by.
  if (params.temperature == 0.0 || !std::isfinite(logits[best])) {
    distribution[best] = 1.0;
    return distribution;
  }
  std::vector<Candidate> candidates = candidates_of(logits, params.temperature);
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

int32_t draw(std::span<const double> distribution, double uniform) {
  double sum = 0.0;
  int32_t last_possible = 0;
  for (size_t i = 0; i < distribution.size(); ++i) {
    if (distribution[i] <= 0.0) continue;
    last_possible = static_cast<int32_t>(i);
    sum += distribution[i];
    if (uniform < sum) break;
  }
  return last_possible;  // rounding may leave the sum a little short of 1
}

double Sampler::uniform() { return static_cast<double>(random_() >> 11) * 0x1p-53; }

TopToken Sampler::sample(TensorView logits) {
  if (logits.device != Device::cpu) {
    if (params_.temperature == 0.0) return sample_on_device(logits);
    return sample(to_host(logits).view());
  }
  const std::span<const float> row{logits.as<float>(), static_cast<size_t>(logits.numel())};
  TopToken top = cpu::top_token(row);
  if (params_.temperature != 0.0) top.id = draw(token_distribution(row, params_), uniform());
  return top;
}

// Two words come back instead of a row of logits.
TopToken Sampler::sample_on_device(TensorView logits) {
  if (!top_) {
    top_.emplace(2, logits.device);
    top_->assign(std::array<int32_t, 2>{});
  }
  ops_for(logits.device).argmax(logits, top_->view().reshaped({1, 2}));
  top_->download();
  return {(*top_)[0], std::bit_cast<float>((*top_)[1])};
}

}  // namespace llm
