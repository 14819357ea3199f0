#include "exercises/07_continuous_batching.h"

namespace llm::exercises {

// 7.1. Four slots; prompts of one token; outputs of 8, 8, 8, 8, 1, 1, 1 and 1 tokens, all there at once. How many steps
// do static and continuous batching take in this order? And in the order 8, 1, 8, 1, 8, 1, 8, 1?
const int64_t kSortedStatic = 0;
const int64_t kSortedContinuous = 0;
const int64_t kMixedStatic = 0;
const int64_t kMixedContinuous = 0;

// 7.2. A budget of 32 tokens a step, no cap on chunks. 8 texts decode when a prompt of 100 tokens comes. In which step
// from then on, counted from 1, does its first token come out?
const int64_t kStepOfTheFirstToken = 0;

// 7.3. One step of the scheduler, with blocks for all. In order of urgency each sequence that runs takes what it has
// left, but no more than a chunk and what is left of the budget; then those that wait join in the same way, nobody
// skipping ahead, as long as there are slots and budget.
std::vector<int32_t> plan_step(std::span<const int32_t> running, std::span<const int32_t> waiting,
                               const StepLimits& limits) {
  return {};
}

// 7.4. Out of blocks. In order of urgency each sequence takes the new blocks it needs. Where too few are free, the last
// one that still runs yields, with all blocks it holds, until there are enough, or until the one in need has itself
// gone.
int32_t count_preempted(std::span<const RunningSequence> running, int32_t num_free) { return -1; }

}  // namespace llm::exercises
