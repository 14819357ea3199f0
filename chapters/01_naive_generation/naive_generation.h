// Text, one token at a time, the slowest way that is right.
#pragma once

#include "common/model/transformer.h"
#include "common/program/generation.h"

namespace llm {

// Feeds the whole sequence again for every token. The reference that every later chapter's output must equal.
Generation generate_naive(const Transformer& model, const std::vector<int32_t>& prompt, const GenerationParams& params,
                          const OnToken& on_token = {});

// How many tokens go through the model in all: prompt, prompt + 1, ... for each of `generated` tokens.
int64_t count_naive_passes(int64_t prompt, int64_t generated);

}  // namespace llm
