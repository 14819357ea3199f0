// The same requests served twice, with a prompt cache and without: cold beside warm.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "chapters/08_prompt_caching/assistant_loads.h"
#include "chapters/08_prompt_caching/prompt_service.h"
#include "common/json/json.h"

namespace llm {

struct LoadComparison {
  std::string name;
  int64_t num_requests = 0, num_same = 0;  // same: the warm answer is the cold one, by the rule of the whole book
  int64_t num_too_short = 0;               // silently not cached
  CacheUsage usage;                        // of the warm requests together
  int64_t predicted_cached_tokens = 0;
  int64_t num_evicted = 0;                         // blocks, while this load was served
  int32_t most_shared_blocks = 0;                  // with several owners at a time
  std::vector<double> cold_ttft_ms, warm_ttft_ms;  // [num_requests]

  double hit_rate() const;                              // of the prompts' tokens
  double ttft_ratio() const;                            // cold through warm, by medians
  double relative_cost(const CachePrice& price) const;  // of the prompts; without a cache 1
};

// All that a cache may know: the texts of each salt.
using ServedTexts = std::map<std::string, std::vector<std::vector<int32_t>>>;

// Serves the same requests with both, adds what came of them to `result`, and their texts to `texts`. Returns the cold
// ones.
std::vector<const Sequence*> compare_requests(const std::vector<Request>& requests, PromptService& cold,
                                              PromptService& warm, ServedTexts& texts, LoadComparison& result);

// The requests of a turn come one after another, a few steps apart, so that several run at a time. A turn begins when
// all answers of the one before are there; `pause` is called in between: time passes.
LoadComparison compare_load(const AssistantLoad& load, PromptService& cold, PromptService& warm,
                            const std::function<void()>& pause);

// What a cache that never forgets would find of a prompt: full blocks with which one of `texts` begins as well, and at
// least one token less than all.
int64_t predict_cached_tokens(const std::vector<std::vector<int32_t>>& texts, const std::vector<int32_t>& prompt,
                              int32_t block_size);

std::string draw_loads(const std::vector<LoadComparison>& loads, const CachePrice& price);
LoadComparison sum_of(const std::vector<LoadComparison>& loads);  // but for the times
Json describe_load(const LoadComparison& load, const CachePrice& price);

}  // namespace llm
