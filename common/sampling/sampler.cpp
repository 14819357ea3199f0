#include "common/sampling/sampler.h"

#include <algorithm>
#include <cstring>

namespace llm {

int32_t argmax(std::span<const float> logits) { return cpu::top_token(logits).id; }

float top_gap(std::span<const float> logits) { return cpu::top_token(logits).gap; }

StepSampler::StepSampler(int64_t max_rows, Device device)
    : device_(device), workspace_(device), rows_(max_rows * kSampleRowWords, device), top_(max_rows * 2, device) {}

std::vector<TopToken> StepSampler::sample(TensorView logits, std::span<const SampleRow> rows) {
  const auto num_rows = static_cast<int64_t>(rows.size());
  require(logits.dim(0) == num_rows, "{} rows of logits sampled as {}", logits.dim(0), num_rows);
  const bool greedy = std::ranges::all_of(rows, [](const SampleRow& row) { return row.params.temperature == 0.0; });
  const Ops& ops = ops_for(device_);
  const Int32View top = top_.view(2 * num_rows).reshaped({num_rows, 2});
  if (greedy) {
    ops.argmax(logits, workspace_, top);
  } else {
    rows_.resize(num_rows * kSampleRowWords);
    std::memcpy(&rows_[0], rows.data(), rows.size_bytes());
    upload_lists({&rows_});
    ops.sample(logits, rows_.view().reshaped({num_rows, kSampleRowWords}), workspace_, top);
  }
  const std::span<const int32_t> words = top_.read(2 * num_rows);
  std::vector<TopToken> tokens(rows.size());
  std::memcpy(tokens.data(), words.data(), words.size_bytes());
  return tokens;
}

SampleRow Sampler::next_row() { return {params_, params_.temperature == 0.0 ? 0.0 : uniform()}; }

double Sampler::uniform() { return static_cast<double>(random_() >> 11) * 0x1p-53; }

TopToken Sampler::sample(TensorView logits) {
  if (!step_ || step_->device() != logits.device) step_.emplace(1, logits.device);
  const SampleRow row = next_row();
  return step_->sample(logits.reshaped({1, logits.numel()}), {&row, 1}).front();
}

}  // namespace llm
