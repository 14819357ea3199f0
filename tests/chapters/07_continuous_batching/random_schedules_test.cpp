// Thousands of random requests, without a model: what must hold in every step, and that everybody gets to the end.
#include <gtest/gtest.h>

#include <set>

#include "chapters/07_continuous_batching/serving_predictions.h"
#include "tests/chapters/07_continuous_batching/schedule_run.h"

namespace llm {
namespace {

struct Pick {
  std::mt19937_64 random;
  int operator()(int low, int high) { return low + static_cast<int>(random() % static_cast<uint64_t>(high - low + 1)); }
};

template <class R>
void expect_sound(const R& run, const StepPlan& plan, const SchedulerParams& params, int32_t num_blocks) {
  ASSERT_LE(std::ssize(run.scheduler.running()), params.max_running);
  ASSERT_FALSE(plan.scheduled.empty()) << "somebody always gets on";
  int32_t total = 0;
  std::set<const Sequence*> seen;
  for (const ScheduledTokens& part : plan.scheduled) {
    ASSERT_GE(part.num_tokens, 1);
    ASSERT_LE(part.num_tokens, params.max_chunk);
    ASSERT_TRUE(seen.insert(part.sequence).second);
    total += part.num_tokens;
  }
  ASSERT_LE(total, params.token_budget);
  for (Sequence* s : plan.preempted) ASSERT_FALSE(seen.contains(s)) << "nobody yields who takes part";

  std::set<int32_t> owned, slots;
  for (const Sequence* s : run.scheduler.running()) {
    ASSERT_TRUE(slots.insert(s->slot).second && s->slot < params.max_running) << "slot " << s->slot;
    ASSERT_EQ(run.cache.length(s->id), s->num_computed_tokens);
    for (const int32_t block : run.cache.block_table(s->id)) {
      ASSERT_TRUE(owned.insert(block).second) << "a block with two owners";
    }
  }
  for (const Sequence* s : run.scheduler.waiting()) {
    ASSERT_FALSE(s->generation.finished());
    ASSERT_EQ(run.cache.length(s->id), 0);
    ASSERT_TRUE(run.cache.block_table(s->id).empty());
  }
  ASSERT_EQ(std::ssize(owned), run.cache.pool().num_used());
  ASSERT_EQ(run.cache.pool().num_free() + run.cache.pool().num_used(), num_blocks);
}

TEST(RandomSchedules, NobodyIsLostAndNothingLeaks) {
  int64_t preemptions = 0, cancelled = 0, finished = 0;
  for (int round = 0; round < 60; ++round) {
    SCOPED_TRACE(round);
    Pick pick{std::mt19937_64(static_cast<uint64_t>(round))};
    const SchedulerParams params{.token_budget = pick(1, 40),
                                 .max_chunk = pick(0, 1) == 0 ? INT32_MAX : pick(1, 20),
                                 .max_running = pick(1, 9),
                                 .policy = pick(0, 1) == 0 ? Policy::fcfs : Policy::priority};
    const int32_t block_size = 1 << pick(0, 4), num_blocks = (70 + block_size - 1) / block_size + pick(0, 30);
    ScheduleRun<Scheduler> run(params, num_blocks, block_size);
    std::vector<int64_t> begun;  // arrival of each, in the order in which they ran first
    std::set<int32_t> has_run;
    int left = 60;
    int64_t steps = 0;
    for (; left > 0 || !run.done(); ++steps) {
      while (left > 0 && pick(0, 3) == 0) {
        Sequence& s = run.add(pick(1, 40), pick(1, 30), pick(0, 3), steps);
        ASSERT_EQ(run.scheduler.refusal(s.request), "");
        --left;
      }
      if (run.done()) continue;
      if (pick(0, 49) == 0) {
        const auto& queue =
            !run.scheduler.waiting().empty() && pick(0, 1) == 0 ? run.scheduler.waiting() : run.scheduler.running();
        if (!queue.empty()) {
          Sequence& s = *queue[static_cast<size_t>(pick(0, static_cast<int>(queue.size()) - 1))];
          s.generation.finish(FinishReason::cancelled);
          run.scheduler.remove(s);
          ++cancelled;
          if (run.done()) continue;
        }
      }
      const auto running_before = run.scheduler.running();
      const StepPlan plan = run.step();
      expect_sound(run, plan, params, num_blocks);
      if (testing::Test::HasFatalFailure()) return;
      for (const ScheduledTokens& part : plan.scheduled) {
        const bool is_new = std::ranges::find(running_before, part.sequence) == running_before.end();
        ASSERT_FALSE(is_new && !plan.preempted.empty()) << "admitted while others had to go";
        if (has_run.insert(part.sequence->id).second) begun.push_back(part.sequence->request.arrival_step);
      }
      preemptions += std::ssize(plan.preempted);
      ASSERT_LT(steps, 60 * 70 * 40) << "somebody waits for ever";
    }
    for (const Sequence& s : run.sequences) {
      ASSERT_TRUE(s.generation.finished());
      if (s.generation.finish_reason() != FinishReason::length) continue;
      ASSERT_EQ(std::ssize(s.generation.token_ids()), s.request.params.max_tokens);
      ++finished;
    }
    ASSERT_EQ(run.cache.pool().num_free(), num_blocks) << "all blocks are free at the end";
    if (params.policy == Policy::fcfs) {
      ASSERT_TRUE(std::ranges::is_sorted(begun)) << "nobody overtakes";
    }
  }
  EXPECT_GT(preemptions, 500) << "else the test does not test what it should";
  EXPECT_GT(cancelled, 100);
  EXPECT_GT(finished, 2000);
  EXPECT_EQ(finished + cancelled, 60 * 60);
}

// With room and budget for all, both schedules take just the steps that arithmetic says.
TEST(RandomSchedules, StepsAreAsPredicted) {
  for (int round = 0; round < 40; ++round) {
    Pick pick{std::mt19937_64(static_cast<uint64_t>(round) + 1000)};
    const SchedulerParams params{.token_budget = 4096, .max_running = pick(1, 6)};
    ScheduleRun<Scheduler> continuous(params, 2000, 16);
    ScheduleRun<StaticScheduler> batches(params, 2000, 16, Padding::computed);
    std::vector<Job> jobs;
    for (int64_t i = 0, arrival = 0; i < 25; ++i, arrival += pick(0, 1) == 0 ? 0 : pick(0, 12)) {
      jobs.push_back({pick(1, 30), arrival});
    }
    const auto play = [&](auto& run) {
      int64_t step = 0, steps = 0;
      for (size_t next = 0; next < jobs.size() || !run.done(); ++step) {
        for (; next < jobs.size() && jobs[next].arrival_step <= step; ++next) {
          run.add(3, static_cast<int>(jobs[next].num_steps), 0, jobs[next].arrival_step);
        }
        if (run.done()) continue;
        run.step();
        ++steps;
      }
      return steps;
    };
    ASSERT_EQ(play(continuous), predict_continuous(jobs, params.max_running).steps) << round;
    ASSERT_EQ(play(batches), predict_static(jobs, params.max_running).steps) << round;
  }
}

}  // namespace
}  // namespace llm
