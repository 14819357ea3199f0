// The old way: a batch starts together, and ends with its longest member.
#pragma once

#include "chapters/07_continuous_batching/scheduler.h"

namespace llm {

// What static batching did with the places of a batch that have nothing to do: prompts shorter than the longest, and
// texts that have ended. It computed them like the others, since a tensor has no holes.
enum class Padding { computed, skipped };

// When the last batch has ended, as many as there are slots, and room for at their longest, start together. Their whole
// prompts are one step; budget and chunk size are not asked.
class StaticScheduler : public Scheduler {
 public:
  StaticScheduler(const SchedulerParams& params, PagedKvCache& cache, Padding padding)
      : Scheduler(params, cache), padding_(padding) {}

  StepPlan schedule() override;
  int64_t max_step_tokens() const override { return int64_t{params_.max_running} * cache_.max_length(); }

 private:
  bool start_batch();  // false: one is running already

  Padding padding_;
  int32_t batch_size_ = 0;
};

}  // namespace llm
