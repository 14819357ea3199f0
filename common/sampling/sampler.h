// From logits to a token.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <vector>

#include "common/ops/ops.h"
#include "common/tensor/int32_buffer.h"

namespace llm {

struct SamplingParams {
  double temperature = 0.0;  // 0: greedy, the most likely token
  int top_k = 0;             // keep the k most likely tokens; 0: all
  double top_p = 1.0;        // keep the fewest most likely tokens whose probabilities reach this sum
  double min_p = 0.0;        // keep tokens at least this share as likely as the most likely one
  uint64_t seed = 0;
};

// Index of the largest value, the first of equals; NaNs are passed over, and a row of nothing else gives 0.
int32_t argmax(std::span<const float> logits);

// Largest value minus second largest: how near the greedy choice was to a tie.
float top_gap(std::span<const float> logits);

// The distribution that is really drawn from, [vocab_size], summing to 1: temperature, then top-k, top-p and min-p,
// each on the renormalized result of the one before. Of equally likely tokens the lower id stays first. With
// temperature 0 all is on the argmax.
std::vector<double> token_distribution(std::span<const float> logits, const SamplingParams& params);

// One request's sampler. Same seed, same logits: same tokens, on every machine and thread count.
class Sampler {
 public:
  explicit Sampler(const SamplingParams& params) : params_(params), random_(params.seed) {}

  // The sampled token, and the gap between the two largest logits.   logits [1, vocab_size], f32, on any device
  TopToken sample(TensorView logits);

  double uniform();  // the next random number in [0, 1), of 53 bits

  const SamplingParams& params() const { return params_; }

 private:
  TopToken sample_on_device(TensorView logits);

  SamplingParams params_;
  std::mt19937_64 random_;
  std::optional<Int32Buffer> top_;  // [2] where a device writes its choice
};

// The token at which the running sum of probabilities first exceeds `uniform`.
int32_t draw(std::span<const double> distribution, double uniform);

}  // namespace llm
