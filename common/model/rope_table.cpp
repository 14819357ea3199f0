#include "common/model/rope_table.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

namespace llm {

namespace {

// frequency_i = theta^(−2i / head_dim), stretched as config.rope_scaling says.
std::vector<float> rope_frequencies(const ModelConfig& config) {
  const RopeScaling& scaling = config.rope_scaling;
  std::vector<float> frequencies(static_cast<size_t>(config.head_dim / 2));
  for (size_t i = 0; i < frequencies.size(); ++i) {
    const double frequency = std::pow(config.rope_theta, -2.0 * static_cast<double>(i) / config.head_dim);
    double scaled = frequency;
    if (scaling.kind == RopeScaling::Kind::linear) scaled = frequency / scaling.factor;
    if (scaling.kind == RopeScaling::Kind::llama3) {
      // How many full turns fit in the original context: many stay, few are stretched, those between are blended.
      const double turns = scaling.original_context * frequency / (2.0 * std::numbers::pi);
      const double keep = std::clamp(
          (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor), 0.0, 1.0);
      scaled = keep * frequency + (1.0 - keep) * frequency / scaling.factor;
    }
    frequencies[i] = static_cast<float>(scaled);
  }
  return frequencies;
}

}  // namespace

Tensor make_rope_table(const ModelConfig& config) {
  const std::vector<float> frequencies = rope_frequencies(config);
  const size_t half = frequencies.size();
  Tensor table({config.context_length, config.head_dim}, DType::f32);
  float* row = table.view().as<float>();
  for (int position = 0; position < config.context_length; ++position, row += config.head_dim) {
    for (size_t i = 0; i < half; ++i) {
      const float angle = static_cast<float>(position) * frequencies[i];
      row[i] = std::cos(angle);
      row[half + i] = std::sin(angle);
    }
  }
  return table;
}

}  // namespace llm
