// Chapter 1's output, which every later chapter must equal.
#pragma once

#include <vector>

#include "common/program/generation.h"
#include "common/program/loaded_model.h"
#include "common/program/options.h"

namespace llm {

struct ReferenceOutput {
  std::vector<int32_t> token_ids;
  std::vector<float> top_gaps;  // [num tokens] how near each token was to another, in logits
  std::vector<double> step_ms;  // [num tokens]
};

// Runs chapter 1 now, or reads the --json file that --reference names. Throws InputError where that file is of another
// chapter, model, prompt or setting.
ReferenceOutput reference_output(const LoadedModel& model, const Options& options, const std::vector<int32_t>& prompt,
                                 const GenerationParams& params);

}  // namespace llm
