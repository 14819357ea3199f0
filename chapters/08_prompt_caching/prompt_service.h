// A service in small: the engine of chapter 7 with a prompt cache, or without one.
#pragma once

#include <optional>

#include "chapters/07_continuous_batching/engine.h"
#include "chapters/08_prompt_caching/prompt_cache.h"

namespace llm {

struct ServiceParams {
  int32_t num_blocks;
  int32_t block_size = 16;
  SchedulerParams scheduler;
  std::optional<CacheRules> rules = std::nullopt;  // none: every prompt is computed from its first token on
  SecondsClock clock = steady_clock();
  HashBlockFn hash = hash_block;
  Drafter* drafter = nullptr;  // chapter 6: must outlive the service
  int max_draft = 4;
};

class PromptService {
 public:
  PromptService(const LoadedModel& model, const ServiceParams& params, AttendFn attend, Engine::OnToken on_token = {});

  // Serves them to their ends; they arrive as many steps from now as their arrival_step says. The sequences stay.
  std::vector<const Sequence*> serve(const std::vector<Request>& requests);

  CacheUsage usage_of(const Sequence& sequence) const;
  bool is_too_short(const Sequence& sequence) const { return prompts_ && prompts_->is_too_short(sequence); }
  int64_t num_evicted() const { return prompts_ ? prompts_->prefixes().num_evicted() : 0; }
  // With several owners, in a step of the last serve.
  int32_t most_shared_blocks() const { return most_shared_blocks_; }
  DType dtype() const { return dtype_; }
  const PagedKvCache& cache() const { return cache_; }
  const Engine& engine() const { return engine_; }

 private:
  int32_t count_shared_blocks() const;

  DType dtype_;
  PagedKvCache cache_;
  std::optional<PromptCache> prompts_;
  Scheduler scheduler_;
  Engine engine_;
  int32_t most_shared_blocks_ = 0;
};

}  // namespace llm
