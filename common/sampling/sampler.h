// From logits to tokens: the random numbers of each request, and a step's rows sampled at once.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <vector>

#include "common/ops/ops.h"
#include "common/tensor/int32_buffer.h"

namespace llm {

// Index of the largest value, the first of equals; NaNs are passed over, and a row of nothing else gives 0.
int32_t argmax(std::span<const float> logits);

// Largest value minus second largest: how near the greedy choice was to a tie.
float top_gap(std::span<const float> logits);

// Draws from a step's rows of logits, where they are: two words a row come back, after one wait for the device.
class StepSampler {
 public:
  StepSampler(int64_t max_rows, Device device);

  // [num_rows] the token sampled from each row, and the gap between its two largest logits.
  //   logits [num_rows, vocab_size] f32, on the device   rows [num_rows], at most max_rows
  std::vector<TopToken> sample(TensorView logits, std::span<const SampleRow> rows);

  Device device() const { return device_; }

 private:
  Device device_;
  Workspace workspace_;
  Int32Buffer rows_;  // [num_rows · kSampleRowWords] SampleRows
  Int32Results top_;  // [num_rows · 2] TopTokens
};

// One request's sampler. Same seed, same logits: same tokens, on every thread count and in every batch.
class Sampler {
 public:
  explicit Sampler(const SamplingParams& params) : params_(params), random_(params.seed) {}

  // The sampled token, and the gap between the two largest logits.   logits [1, vocab_size], f32, on any device
  TopToken sample(TensorView logits);

  // How the next token is to be drawn, for a StepSampler; takes a random number unless the request is greedy.
  SampleRow next_row();

  double uniform();  // the next random number in [0, 1), of 53 bits

  const SamplingParams& params() const { return params_; }

 private:
  SamplingParams params_;
  std::mt19937_64 random_;
  std::optional<StepSampler> step_;  // of one row
};

}  // namespace llm
