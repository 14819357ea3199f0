// The exercises of chapter 7; `./test exercise 7` checks them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace llm::exercises {

extern const int64_t kSortedStatic, kSortedContinuous, kMixedStatic, kMixedContinuous;  // 7.1
extern const int64_t kStepOfTheFirstToken;                                              // 7.2

// 7.3
struct StepLimits {
  int32_t token_budget;  // new tokens in a step
  int32_t max_chunk;     // of them for one sequence
  int32_t max_running;   // sequences side by side
};
// How many tokens each computes in the next step, first those that run and then those that wait; 0 for one that has no
// part in it.   running, waiting: how many tokens each has left to compute, the most urgent first
std::vector<int32_t> plan_step(std::span<const int32_t> running, std::span<const int32_t> waiting,
                               const StepLimits& limits);

// 7.4. A sequence that runs.
struct RunningSequence {
  int32_t num_blocks;      // that it holds
  int32_t num_new_blocks;  // that it needs for the next step
};
// How many of them must yield, the last ones.   running: the most urgent first
int32_t count_preempted(std::span<const RunningSequence> running, int32_t num_free);

}  // namespace llm::exercises
