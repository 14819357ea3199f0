// A token drawn from each row of logits, each row with parameters of its own.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/ops/argmax.h"

namespace llm {

struct SamplingParams {
  double temperature = 0.0;  // 0: greedy, the most likely token
  int32_t top_k = 0;         // keep the k most likely tokens; 0: all
  double top_p = 1.0;        // keep the fewest most likely tokens whose probabilities reach this sum
  double min_p = 0.0;        // keep tokens at least this share as likely as the most likely one
  uint64_t seed = 0;
};

// How one row's token is drawn, as a device reads it.
struct SampleRow {
  SamplingParams params;
  double uniform = 0.0;  // in [0, 1), from the request's own generator
};
inline constexpr int64_t kSampleRowWords = sizeof(SampleRow) / sizeof(int32_t);

// The distribution that is really drawn from, [vocab_size], summing to 1: temperature, then top-k, top-p and min-p,
// each on the renormalized result of the one before. Of equally likely tokens the lower id stays first. With
// temperature 0 all is on the argmax.
std::vector<double> token_distribution(std::span<const float> logits, const SamplingParams& params);

struct Drawn {
  int32_t id;  // the token at which the running sum of probabilities, in the order of the ids, first exceeds `uniform`
  double distance;  // of `uniform` from the nearest token's part of the sum beside it; 1 where there is no other token
};
Drawn draw(std::span<const double> distribution, double uniform);

// How near the draw was to another, in logits: where all of them move by δ or less, a running sum moves by δ /
// (2 · temperature) at most, so that it takes this much to draw another token.
constexpr double gap_of_draw(double distance, double temperature) { return 2.0 * temperature * distance; }

// out[i] = draw(token_distribution(logits[i], rows[i].params), rows[i].uniform) and its gap; a greedy row has argmax's.
//   logits [num_rows, vocab_size] f32   rows [num_rows, kSampleRowWords] i32: SampleRows
//   out [num_rows, 2] i32: TopTokens
// The CPU sums in f64. A GPU weighs tokens in f32, against the likeliest one's 2⁴⁰: it may choose otherwise where
// `uniform`, or the end of what a filter keeps, lies within that rounding of a token's boundary. The same numbers give
// the same token at every run, whatever else is in the batch.
using SampleFn = void (*)(TensorView logits, TensorView rows, Workspace& workspace, TensorView out);

namespace cpu {
void sample(TensorView logits, TensorView rows, Workspace& workspace, TensorView out);
}  // namespace cpu

}  // namespace llm
