// A scheduler at work without a model: every token is computed by saying so.
#pragma once

#include <deque>

#include "chapters/07_continuous_batching/static_scheduler.h"
#include "tests/support/tiny_model.h"

namespace llm {

// Of one layer and one head, so that only the blocks matter.
inline ModelConfig schedule_config(int context_length) {
  ModelConfig config = tiny_config("llama");
  config.num_layers = config.num_heads = config.num_kv_heads = 1;
  config.head_dim = 2;
  config.context_length = context_length;
  return config;
}

template <class Scheduler>
struct ScheduleRun {
  static constexpr int32_t kContext = 4096;

  template <class... More>
  ScheduleRun(const SchedulerParams& params, int32_t num_blocks, int32_t block_size, More... more)
      : cache(config, {num_blocks, block_size, kContext, params.max_running}, DType::f32),
        scheduler(params, cache, more...),
        batch(int64_t{params.max_running} * kContext, params.max_running) {}

  Sequence& add(int prompt_len, int max_tokens, int32_t priority = 0, int64_t arrival_step = 0) {
    Request request{.id = "", .prompt = std::vector<int32_t>(static_cast<size_t>(prompt_len), 3), .params = {}};
    request.params.max_tokens = max_tokens;
    request.priority = priority;
    request.arrival_step = arrival_step;
    Sequence& s = sequences.emplace_back(static_cast<int32_t>(sequences.size()), std::move(request), config);
    scheduler.add(s);
    return s;
  }

  // Computes what the plan says: a token for each sequence that is complete. Those at their end leave.
  StepPlan step() {
    const StepPlan plan = scheduler.schedule();
    batch.clear();
    for (const ScheduledTokens& part : plan.scheduled) {
      const Sequence& s = *part.sequence;
      batch.add(s.id, s.new_tokens().first(static_cast<size_t>(part.num_tokens)), s.num_computed_tokens,
                LogitRows::none);
    }
    EXPECT_TRUE(cache.begin_step(batch)) << "what is planned has room";
    for (const ScheduledTokens& part : plan.scheduled) {
      Sequence& s = *part.sequence;
      s.num_computed_tokens += part.num_tokens;
      if (s.num_uncomputed_tokens() > 0) continue;
      s.generation.add({.id = 5, .gap = 1.0f}, part.num_tokens);
      if (s.generation.finished()) scheduler.remove(s);
    }
    return plan;
  }

  bool done() const { return scheduler.running().empty() && scheduler.waiting().empty(); }

  ModelConfig config = schedule_config(kContext);
  PagedKvCache cache;
  Scheduler scheduler;
  std::deque<Sequence> sequences;
  Batch batch;
};

}  // namespace llm
