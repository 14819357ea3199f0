// Requests that nobody typed: lengths and times of arrival drawn at random, the same ones for the same seed.
#pragma once

#include <vector>

#include "chapters/07_continuous_batching/request.h"

namespace llm {

struct LoadParams {
  int num_requests = 32;
  double prompt_mean = 16.0;     // tokens
  double output_mean = 48.0;     // tokens
  double arrival_rate = 0.25;    // requests per step; 0: all are there at once
  GenerationParams params = {};  // max_tokens bounds the outputs; each request draws with a seed of its own
};

// Lengths are geometric, 1 + ⌊Exp(mean − ½)⌋: many short and few long, as chats have it. Arrivals are Poisson: the gaps
// between them are exponential. Prompts are random tokens. Texts do not end before the length that was drawn for them.
std::vector<Request> make_load(const LoadParams& load, const ModelConfig& config);

}  // namespace llm
