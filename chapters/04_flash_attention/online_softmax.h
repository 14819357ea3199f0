// Step 2: softmax and the weighted sum in one pass, over scores that come a tile at a time. One row, on the CPU.
// Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018, algorithm 3, with the output carried along
// as in Dao et al., "FlashAttention", 2022.
#pragma once

#include <limits>
#include <span>
#include <string>
#include <vector>

namespace llm {

// region: online_softmax
// What is known of a row after the tiles so far. The names are the papers': m, l and O.
struct OnlineSoftmax {
  explicit OnlineSoftmax(size_t head_dim) : out(head_dim) {}

  float max = -std::numeric_limits<float>::infinity();  // m: the largest score
  float sum = 0.0f;                                     // l: Σ exp(score − m)
  std::vector<float> out;                               // O: Σ exp(score − m) · v [head_dim], not yet divided by l

  // values [scores.size(), head_dim]
  void add_tile(std::span<const float> scores, std::span<const float> values);

  std::vector<float> result() const;  // O / l; zeros where no key was seen
  float log_sum_exp() const;          // m + ln l; −inf likewise
};
// endregion

// "m 4  l 1.135  O / l (0.12, 0.88)": the state in a line.
std::string describe(const OnlineSoftmax& state);

// Runs a row tile by tile and tells the state after each, a line a tile.
std::string trace_online_softmax(std::span<const float> scores, std::span<const float> values, size_t tile);

}  // namespace llm
