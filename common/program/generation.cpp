#include "common/program/generation.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace llm {

using Clock = std::chrono::steady_clock;

Generation::Generation(std::vector<int32_t> prompt, const ModelConfig& config, const GenerationParams& params)
    : prompt_(std::move(prompt)),
      all_(prompt_),
      params_(params),
      sampler_(params.sampling),
      context_length_(config.context_length),
      eos_token_ids_(config.eos_token_ids),
      last_(Clock::now()) {}

int32_t Generation::sample(TensorView logits, int64_t token_passes) {
  const TopToken sampled = sampler_.sample(logits);
  add(sampled, token_passes);
  return sampled.id;
}

void Generation::add(TopToken sampled, int64_t token_passes) {
  const auto [token, gap] = sampled;
  const Clock::time_point now = Clock::now();
  step_ms_.push_back(std::chrono::duration<double, std::milli>(now - last_).count());
  top_gaps_.push_back(gap);
  step_passes_.push_back(token_passes);
  token_ids_.push_back(token);
  all_.push_back(token);

  const bool is_eos = !params_.ignore_eos && std::ranges::count(eos_token_ids_, token) > 0;
  if (is_eos || std::ranges::count(params_.stop_token_ids, token) > 0) {
    finish_reason_ = FinishReason::stop;
  } else if (num_left() <= 0) {
    const bool is_longest = static_cast<int>(token_ids_.size()) >= params_.max_tokens;
    finish_reason_ = is_longest ? FinishReason::length : FinishReason::context;
  }
  last_ = Clock::now();
}

int Generation::num_left() const {
  return std::min(params_.max_tokens - static_cast<int>(token_ids_.size()),
                  context_length_ - static_cast<int>(all_.size()));
}

double Generation::tokens_per_second() const {
  if (step_ms_.size() < 2) return std::numeric_limits<double>::quiet_NaN();
  const double total_ms = std::accumulate(step_ms_.begin() + 1, step_ms_.end(), 0.0);
  return 1000.0 * static_cast<double>(step_ms_.size() - 1) / total_ms;
}

}  // namespace llm
