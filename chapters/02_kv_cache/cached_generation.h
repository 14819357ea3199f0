// Text, one token at a time, with keys and values kept.
#pragma once

#include "common/model/transformer.h"
#include "common/program/generation.h"
#include "common/program/predict.h"

namespace llm {

// Feeds the prompt once (prefill) and then one token a step (decode). The cache stays with the caller: it must be empty
// for sequence 0, and holds afterwards all tokens but the last generated one.
Generation generate_cached(const Transformer& model, KvMemory& cache, AttendFn attend,
                           const std::vector<int32_t>& prompt, const GenerationParams& params,
                           const OnToken& on_token = {});

// How many tokens go through the model in all: the prompt once, then each generated token but the last.
int64_t count_cached_passes(int64_t prompt, int64_t generated);

// The time that a decode step should take in the mean: the weights and the cache, read once a token.
double predict_decode_ms(const Transformer& model, const MachineRates& rates, int64_t prompt_len, int64_t generated);

// Of the steps after the first; NaN where there are none.
double median_decode_ms(const Generation& generation);

}  // namespace llm
