// Tokens drawn from one distribution, q, made into tokens of another, p.
// Leviathan, Kalman and Matias, "Fast Inference from Transformers via Speculative Decoding", 2023; Chen et al.,
// "Accelerating Large Language Model Decoding with Speculative Sampling", 2023.
#pragma once

#include <span>
#include <vector>

#include "chapters/06_speculative_decoding/drafter.h"

namespace llm {

// p, q: [vocab_size], each summing to 1. An empty q is one-hot on the drafted token.

// Σ min(p, q): how likely a token drawn from q is to be accepted.
double acceptance_rate(std::span<const double> p, std::span<const double> q);

// Whether `drafted`, drawn from q, stands: with probability min(1, p / q), decided by `uniform` in [0, 1). One that is
// impossible in p never does; one that q holds for impossible, which no honest draft has, does where it is possible in
// p.
bool accepts(std::span<const double> p, std::span<const double> q, int32_t drafted, double uniform);

// norm(max(0, p − q)), what a rejected token is replaced from: what q holds too little of. Where p = q nothing is
// rejected but by rounding; then it is p.
std::vector<double> residual_distribution(std::span<const double> p, std::span<const double> q, int32_t drafted);

// What is left of a draft, and one token more: that which replaces the first rejected one, or follows on the last. At
// least one token, at most draft.tokens.size() + 1. Their gaps are NaN: no other run draws the same.
//   logits [num_drafted + 1, vocab_size] f32, on the host: the target's, before each drafted token and after the last
std::vector<TopToken> accept_sampled(TensorView logits, const Draft& draft, Sampler& sampler);

// The same where the likeliest token is taken: a drafted token stands as long as it is that.
//   likeliest [num_drafted + 1]
std::vector<TopToken> accept_greedy(std::span<const TopToken> likeliest, const Draft& draft);

}  // namespace llm
