#include "exercises/07_continuous_batching.h"

#include <algorithm>

namespace llm::exercises {

const int64_t kSortedStatic = 8 + 1;
const int64_t kSortedContinuous = 8 + 1;
const int64_t kMixedStatic = 8 + 8;
// After step 1 the slots of the two short ones take 8 and 1, after step 2 one of them takes the last 8, and at step 9,
// when the first two have ended, the last 1 has long gone: the last 8 ends with step 10.
const int64_t kMixedContinuous = 10;

const int64_t kStepOfTheFirstToken = 5;  // 24 tokens a step are left for it: 24, 48, 72, 96, 100

std::vector<int32_t> plan_step(std::span<const int32_t> running, std::span<const int32_t> waiting,
                               const StepLimits& limits) {
  std::vector<int32_t> plan;
  int32_t budget = limits.token_budget;
  const auto take = [&](int32_t num_uncomputed) {
    const int32_t num_tokens = std::min({num_uncomputed, limits.max_chunk, budget});
    budget -= num_tokens;
    plan.push_back(num_tokens);
  };
  for (const int32_t num_uncomputed : running) take(num_uncomputed);
  for (const int32_t num_uncomputed : waiting) take(std::ssize(plan) < limits.max_running ? num_uncomputed : 0);
  return plan;
}

int32_t count_preempted(std::span<const RunningSequence> running, int32_t num_free) {
  size_t num_left = running.size();
  for (size_t i = 0; i < num_left; ++i) {
    while (num_free < running[i].num_new_blocks && i < num_left) num_free += running[--num_left].num_blocks;
    if (i < num_left) num_free -= running[i].num_new_blocks;
  }
  return static_cast<int32_t>(running.size() - num_left);
}

}  // namespace llm::exercises
