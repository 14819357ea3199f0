#include "exercises/07_continuous_batching.h"

#include <random>

#include "exercises/checks/check.h"
#include "tests/chapters/07_continuous_batching/schedule_run.h"

namespace llm {
namespace {

using ContinuousRun = ScheduleRun<Scheduler>;
using StaticRun = ScheduleRun<StaticScheduler>;

template <class Run>
int64_t count_steps(Run run, const std::vector<int>& outputs) {
  for (const int output : outputs) run.add(1, output);
  int64_t steps = 0;
  for (; !run.done(); ++steps) run.step();
  return steps;
}

TEST(Chapter7, Exercise1) {
  const auto expect = [](const char* name, int64_t predicted, bool is_static, const std::vector<int>& outputs) {
    const SchedulerParams params{.max_running = 4};
    const int64_t steps = is_static ? count_steps(StaticRun(params, 100, 16, Padding::skipped), outputs)
                                    : count_steps(ContinuousRun(params, 100, 16), outputs);
    expect_prediction(name, predicted, steps,
                      fmt::format("chapter 7's {} scheduler takes", is_static ? "static" : "continuous"));
  };
  const std::vector<int> sorted = {8, 8, 8, 8, 1, 1, 1, 1}, mixed = {8, 1, 8, 1, 8, 1, 8, 1};
  expect("kSortedStatic", exercises::kSortedStatic, true, sorted);
  expect("kSortedContinuous", exercises::kSortedContinuous, false, sorted);
  expect("kMixedStatic", exercises::kMixedStatic, true, mixed);
  expect("kMixedContinuous", exercises::kMixedContinuous, false, mixed);
}

TEST(Chapter7, Exercise2) {
  ContinuousRun run({.token_budget = 32, .max_running = 9}, 100, 16);
  for (int i = 0; i < 8; ++i) run.add(1, 50);
  run.step();
  const Sequence& late = run.add(100, 5);
  int64_t steps = 0;
  for (; late.generation.token_ids().empty(); ++steps) run.step();
  expect_prediction("kStepOfTheFirstToken", exercises::kStepOfTheFirstToken, steps,
                    "chapter 7's scheduler brings its first token out in step");
}

TEST(Chapter7, Exercise3) {
  std::mt19937_64 random(1);
  const auto pick = [&](int lowest, int highest) {
    return lowest + static_cast<int>(random() % static_cast<uint64_t>(highest - lowest + 1));
  };
  for (int runs = 0; runs < 40; ++runs) {
    const SchedulerParams params{
        .token_budget = pick(1, 40), .max_chunk = pick(0, 1) == 1 ? pick(1, 20) : INT32_MAX, .max_running = pick(1, 6)};
    ContinuousRun run(params, 1000, 16);
    for (int requests = pick(1, 12); requests > 0; --requests) run.add(pick(1, 60), pick(1, 9));
    while (!run.done()) {
      std::vector<Sequence*> all;
      std::vector<int32_t> left[2];
      for (const bool waits : {false, true}) {
        for (Sequence* s : waits ? run.scheduler.waiting() : run.scheduler.running()) {
          all.push_back(s);
          left[waits].push_back(s->num_uncomputed_tokens());
        }
      }
      const std::vector<int32_t> plan =
          exercises::plan_step(left[0], left[1], {params.token_budget, params.max_chunk, params.max_running});
      std::vector<int32_t> expected(all.size());
      for (const ScheduledTokens& part : run.step().scheduled) {
        expected[static_cast<size_t>(std::ranges::find(all, part.sequence) - all.begin())] = part.num_tokens;
      }
      ASSERT_ANSWER(plan, expected) << fmt::format(
          "Tokens left: running [{}], waiting [{}]. token_budget {}, max_chunk {}, max_running {}.",
          fmt::join(left[0], ", "), fmt::join(left[1], ", "), params.token_budget, params.max_chunk,
          params.max_running);
    }
  }
}

TEST(Chapter7, Exercise4) {
  std::mt19937_64 random(1);
  int64_t num_preempted = 0;
  for (int runs = 0; runs < 60; ++runs) {
    const int32_t block_size = runs % 2 == 0 ? 1 : 4, max_chunk = 1 + static_cast<int32_t>(random() % 8);
    ContinuousRun run({.token_budget = 1000, .max_chunk = max_chunk, .max_running = 5}, 48 / block_size, block_size);
    for (int requests = 0; requests < 8; ++requests) {
      run.add(1 + static_cast<int>(random() % 24), 1 + static_cast<int>(random() % 24));
    }
    while (!run.done()) {
      std::vector<exercises::RunningSequence> running;
      std::string blocks;
      for (const Sequence* s : run.scheduler.running()) {
        const auto held = static_cast<int32_t>(run.cache.block_table(s->id).size());
        const int32_t next = s->num_computed_tokens + std::min(s->num_uncomputed_tokens(), max_chunk);
        running.push_back({held, run.cache.num_blocks_for(next) - held});
        blocks += fmt::format(" {}+{}", held, running.back().num_new_blocks);
      }
      const int32_t num_free = run.cache.pool().num_free(), answer = exercises::count_preempted(running, num_free);
      const auto right = static_cast<int32_t>(run.step().preempted.size());
      ASSERT_ANSWER(answer, right) << fmt::format("{} blocks are free. Who runs holds + needs: [{} ].", num_free,
                                                  blocks);
      num_preempted += right;
    }
  }
  EXPECT_GT(num_preempted, 20);
  const exercises::RunningSequence long_prompt[] = {{8, 1}, {1, 8}};
  ASSERT_ANSWER(exercises::count_preempted(long_prompt, 1), 1)
      << "1 block is free. Who runs holds + needs: [ 8+1 1+8 ]. Who has yielded needs nothing more.";
}

}  // namespace
}  // namespace llm
