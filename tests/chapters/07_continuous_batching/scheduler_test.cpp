// Schedules by hand, without a model.
#include "chapters/07_continuous_batching/scheduler.h"

#include <gtest/gtest.h>

#include "chapters/07_continuous_batching/serving_predictions.h"
#include "tests/chapters/07_continuous_batching/schedule_run.h"

namespace llm {
namespace {

using Counts = std::vector<int32_t>;
using ContinuousRun = ScheduleRun<Scheduler>;
using StaticRun = ScheduleRun<StaticScheduler>;

// How many tokens each sequence is given in a step.
template <class R>
Counts counts(R& run) {
  Counts tokens(run.sequences.size(), 0);
  for (const ScheduledTokens& part : run.step().scheduled)
    tokens[static_cast<size_t>(part.sequence->id)] = part.num_tokens;
  return tokens;
}

Counts ids(const auto& sequences) {
  Counts ids;
  for (const Sequence* s : sequences) ids.push_back(s->id);
  return ids;
}

TEST(Scheduler, LongPromptsGoInChunks) {
  ContinuousRun run({.token_budget = 1024, .max_chunk = 400}, 1000, 16);
  for (int i = 0; i < 3; ++i) run.add(800, 10);
  EXPECT_EQ(counts(run), (Counts{400, 400, 224}));
  EXPECT_EQ(counts(run), (Counts{400, 400, 224}));
  EXPECT_EQ(counts(run), (Counts{1, 1, 352}));
  EXPECT_EQ(run.sequences[2].generation.token_ids().size(), 1u) << "sampled after the last chunk, not before";
  EXPECT_EQ(counts(run), (Counts{1, 1, 1}));
}

TEST(Scheduler, WithoutACapTheFirstTakeAll) {
  ContinuousRun run({.token_budget = 1024}, 1000, 16);
  for (const int prompt_len : {800, 800, 10, 10}) run.add(prompt_len, 10);
  EXPECT_EQ(counts(run), (Counts{800, 224, 0, 0}));
  EXPECT_EQ(counts(run), (Counts{1, 576, 10, 10}));
  EXPECT_EQ(counts(run), (Counts{1, 1, 1, 1}));
}

// A budget smaller than the number of those that run: the first are served, and the last get their turn when they go.
TEST(Scheduler, ATinyBudget) {
  ContinuousRun run({.token_budget = 2, .max_running = 3}, 100, 16);
  for (int i = 0; i < 3; ++i) run.add(1, 3);
  EXPECT_EQ(counts(run), (Counts{1, 1, 0}));
  EXPECT_EQ(counts(run), (Counts{1, 1, 0}));
  EXPECT_EQ(counts(run), (Counts{1, 1, 0}));
  EXPECT_EQ(counts(run), (Counts{0, 0, 1}));
}

TEST(Scheduler, ASlotIsTakenAgainAtOnce) {
  ContinuousRun run({.max_running = 2}, 100, 16);
  for (const int max_tokens : {3, 1, 1, 1}) run.add(4, max_tokens);
  EXPECT_EQ(counts(run), (Counts{4, 4, 0, 0}));
  EXPECT_EQ(run.sequences[1].slot, 1);
  EXPECT_EQ(counts(run), (Counts{1, 0, 4, 0}));
  EXPECT_EQ(run.sequences[2].slot, 1) << "the one that has become free";
  EXPECT_EQ(counts(run), (Counts{1, 0, 0, 4}));
  EXPECT_TRUE(run.done());
  EXPECT_EQ(run.cache.pool().num_free(), 100);
}

// Issue: two requests of 80 tokens in 10 blocks of 16. The first one's next block is the second one's.
TEST(Scheduler, TheLastYieldsWhenBlocksRunOut) {
  ContinuousRun run({}, 10, 16);
  Sequence& first = run.add(80, 20);
  Sequence& second = run.add(80, 20);
  Sequence& third = run.add(1, 1);
  EXPECT_EQ(counts(run), (Counts{80, 80, 0})) << "no block is left for the third";
  const StepPlan plan = run.step();
  ASSERT_EQ(plan.scheduled.size(), 1u) << "the third would fit now, but not in a step in which somebody had to go";
  EXPECT_EQ(plan.scheduled[0].sequence, &first);
  EXPECT_EQ(plan.scheduled[0].num_tokens, 1);
  EXPECT_EQ(plan.preempted, (std::vector<Sequence*>{&second}));
  EXPECT_EQ(ids(run.scheduler.waiting()), (Counts{1, 2})) << "at the front, before one that never ran";
  EXPECT_EQ(run.cache.pool().num_free(), 4);
  EXPECT_EQ(second.num_computed_tokens, 0);
  EXPECT_EQ(second.num_preemptions, 1);
  EXPECT_EQ(second.num_known_tokens(), 81) << "what was generated stays known";
  EXPECT_EQ(counts(run), (Counts{1, 0, 0})) << "4 blocks are too few for 81 tokens, and nobody overtakes";
  while (!first.generation.finished()) counts(run);
  EXPECT_EQ(counts(run), (Counts{0, 81, 1})) << "computed anew, in one piece";
  while (!run.done()) run.step();
  EXPECT_EQ(second.generation.token_ids().size(), 20u);
  EXPECT_TRUE(third.generation.finished());
  EXPECT_EQ(run.cache.pool().num_free(), 10);
}

// The one who needs the block may be the last itself.
TEST(Scheduler, OneMayHaveToYieldToItself) {
  ContinuousRun run({}, 3, 4);
  run.add(4, 4);
  Sequence& last = run.add(8, 4);
  EXPECT_EQ(counts(run), (Counts{4, 8}));
  const StepPlan plan = run.step();
  EXPECT_EQ(plan.preempted, (std::vector<Sequence*>{&last})) << "for the first one's fifth token";
  while (!run.done()) run.step();
  EXPECT_EQ(last.generation.token_ids().size(), 4u);

  ContinuousRun other({}, 4, 4);
  other.add(4, 2);
  Sequence& greedy = other.add(8, 4);
  EXPECT_EQ(counts(other), (Counts{4, 8}));
  const StepPlan second = other.step();
  ASSERT_EQ(second.scheduled.size(), 1u) << "the first took the last block, the second found none";
  EXPECT_EQ(second.preempted, (std::vector<Sequence*>{&greedy}));
  while (!other.done()) other.step();
  EXPECT_EQ(other.cache.pool().num_free(), 4);
}

// 5 blocks of 16: a request that came first, but with a large priority number, is the one to yield.
TEST(Scheduler, PriorityDecidesWhoYields) {
  for (const Policy policy : {Policy::fcfs, Policy::priority}) {
    ContinuousRun run({.policy = policy}, 5, 16);
    Sequence& patient = run.add(30, 3, 5);
    Sequence& normal = run.add(30, 3, 1);
    Sequence& urgent = run.add(16, 3, 0);
    EXPECT_EQ(counts(run), (Counts{30, 30, 16}));
    EXPECT_EQ(ids(run.scheduler.running()), policy == Policy::fcfs ? (Counts{0, 1, 2}) : (Counts{2, 1, 0}));
    const StepPlan plan = run.step();  // the third one's 17th token
    EXPECT_EQ(plan.preempted, (std::vector<Sequence*>{policy == Policy::fcfs ? &urgent : &patient}));
    while (!run.done()) run.step();
    EXPECT_EQ(normal.num_preemptions, 0);
    EXPECT_EQ(run.cache.pool().num_free(), 5);
  }
}

TEST(Scheduler, OfEqualPriorityTheLatestYields) {
  ContinuousRun run({.policy = Policy::priority}, 4, 16);
  run.add(10, 4, 7, 3);
  Sequence& late = run.add(16, 4, 7, 4);
  run.add(32, 4, 7, 2);
  EXPECT_EQ(counts(run), (Counts{10, 16, 32}));
  EXPECT_EQ(ids(run.scheduler.running()), (Counts{2, 0, 1}));
  EXPECT_EQ(run.step().preempted, (std::vector<Sequence*>{&late}));
}

TEST(Scheduler, AnUrgentRequestGoesFirstButThrowsNobodyOut) {
  ContinuousRun run({.max_running = 2, .policy = Policy::priority}, 100, 16);
  run.add(4, 2, 5);
  run.add(4, 9, 5);
  run.add(4, 2, 5);
  counts(run);
  run.add(4, 2, -1);
  EXPECT_EQ(ids(run.scheduler.waiting()), (Counts{3, 2}));
  EXPECT_EQ(counts(run), (Counts{1, 1, 0, 0})) << "both slots are taken";
  EXPECT_EQ(counts(run), (Counts{0, 1, 0, 4}));
  EXPECT_EQ(ids(run.scheduler.running()), (Counts{3, 1})) << "the most urgent is served first";
}

// Chunk by chunk into a pool that is too small for the whole would be work for nothing.
TEST(Scheduler, APromptIsBegunOnlyWhenAllOfItFits) {
  ContinuousRun run({.token_budget = 64, .max_chunk = 8}, 6, 4);
  run.add(8, 5);
  Sequence& long_prompt = run.add(20, 2);
  EXPECT_EQ(counts(run), (Counts{8, 0})) << "20 tokens take 5 blocks of the 4 that are free";
  while (!run.sequences[0].generation.finished()) EXPECT_EQ(counts(run)[1], 0);
  EXPECT_EQ(counts(run), (Counts{0, 8}));
  EXPECT_EQ(counts(run), (Counts{0, 8}));
  EXPECT_EQ(counts(run), (Counts{0, 4}));
  EXPECT_EQ(long_prompt.num_preemptions, 0);
}

TEST(Scheduler, WhatCanNeverFitIsRefused) {
  ContinuousRun run({}, 3, 4);
  const auto refusal = [&](int prompt_len, int max_tokens) {
    Request request{.id = "", .prompt = Counts(static_cast<size_t>(prompt_len), 3), .params = {}};
    request.params.max_tokens = max_tokens;
    return run.scheduler.refusal(request);
  };
  EXPECT_EQ(refusal(10, 3), "") << "12 tokens: the last one is never fed";
  EXPECT_EQ(refusal(10, 4), "its prompt of 10 tokens and up to 4 more take 4 blocks of 4, but there are 3 in all");
  EXPECT_EQ(refusal(13, 1), "its prompt of 13 tokens and up to 1 more take 4 blocks of 4, but there are 3 in all");
  EXPECT_EQ(refusal(4096, 1), "its prompt has 4096 tokens, but a text has 4096 at most and one of them must be new");
}

// Chapter 8's part played by hand: what is known to be in the cache is asked for at every admission.
struct KnownBlocks : PrefixSource {
  std::vector<int32_t> blocks;
  std::vector<int32_t> match(const Sequence&) const override { return blocks; }
  void record(const Sequence&) override {}
};

TEST(Scheduler, BeginsBehindKnownBlocksAlsoAfterAPreemption) {
  KnownBlocks known;
  ContinuousRun run({}, 5, 4, &known);
  Sequence& first = run.add(8, 3);
  Sequence& second = run.add(12, 3);
  EXPECT_EQ(counts(run), (Counts{8, 12}));
  EXPECT_EQ(run.step().preempted, (std::vector<Sequence*>{&second})) << "no block for a ninth token";
  known.blocks = run.cache.block_table(first.id);
  known.blocks.resize(2);
  EXPECT_EQ(counts(run), (Counts{1, 13 - 8})) << "two of the four blocks that it needs are there, two are free";
  EXPECT_TRUE(first.generation.finished());
  EXPECT_EQ(run.cache.pool().num_free(), 1) << "what they shared is the second one's now";
  EXPECT_EQ(run.cache.block_table(second.id).size(), 4u);
  EXPECT_EQ(run.cache.block_table(second.id)[1], known.blocks[1]);
  EXPECT_EQ(second.num_cached_tokens, 0) << "of its prompt nothing was found when it first ran";
  while (!run.done()) run.step();
  EXPECT_EQ(run.cache.pool().num_free(), 5);
}

TEST(Scheduler, ARefusedAdmissionChangesNothing) {
  KnownBlocks known;
  ContinuousRun run({}, 4, 4, &known);
  Sequence& first = run.add(8, 9);
  EXPECT_EQ(counts(run), (Counts{8}));
  known.blocks = {run.cache.block_table(first.id)[0]};
  Sequence& second = run.add(13, 2);
  for (const int32_t tokens : {1, 1, 1, 1}) EXPECT_EQ(counts(run), (Counts{tokens, 0})) << "3 blocks, 1 free";
  EXPECT_EQ(run.cache.pool().ref_count(known.blocks[0]), 1);
  EXPECT_EQ(second.num_computed_tokens, 0);
  EXPECT_EQ(ids(run.scheduler.waiting()), (Counts{1}));
}

// ---- static batches ----

TEST(StaticScheduler, ABatchStartsAndEndsTogether) {
  StaticRun run({.max_running = 2}, 100, 4, Padding::skipped);
  for (const int max_tokens : {3, 1, 1}) run.add(5, max_tokens);
  EXPECT_EQ(counts(run), (Counts{5, 5, 0}));
  EXPECT_EQ(counts(run), (Counts{1, 0, 0})) << "a slot is free, and nobody may take it";
  EXPECT_EQ(counts(run), (Counts{1, 0, 0}));
  EXPECT_EQ(counts(run), (Counts{0, 0, 5}));
  EXPECT_TRUE(run.done());
}

TEST(StaticScheduler, PaddingIsWhatIsMissingToARectangle) {
  StaticRun run({.max_running = 3}, 100, 4, Padding::computed);
  run.add(5, 3);
  run.add(2, 1);
  run.add(7, 2);
  run.add(9, 1);
  StepPlan plan = run.step();
  EXPECT_EQ(plan.num_padding, 2 + 5 + 0) << "three prompts of 7";
  EXPECT_EQ(plan.padding_rows, LogitRows::none);
  plan = run.step();
  EXPECT_EQ(plan.scheduled.size(), 2u);
  EXPECT_EQ(plan.num_padding, 1) << "the second has ended";
  EXPECT_EQ(plan.padding_rows, LogitRows::last);
  EXPECT_EQ(run.step().num_padding, 2);
  EXPECT_EQ(run.step().num_padding, 0) << "a batch of one: places that were never taken are not computed";
}

// Each member's longest case is reserved: nobody is ever preempted, and who does not fit waits for the next batch.
TEST(StaticScheduler, ReservesForTheLongestCase) {
  StaticRun run({.max_running = 4}, 6, 4, Padding::skipped);
  for (int i = 0; i < 3; ++i) run.add(4, 7);  // 10 tokens, 3 blocks
  EXPECT_EQ(counts(run), (Counts{4, 4, 0}));
  EXPECT_EQ(run.cache.pool().num_free(), 0);
  while (!run.done()) EXPECT_TRUE(run.step().preempted.empty());
  EXPECT_EQ(run.cache.pool().num_free(), 6);
}

// ---- the page's worked example: 4 slots, 50 ms a step, A 100, B 20, C 50, D 200, then E 30 ----

TEST(WorkedExample, StaticTakes230StepsAndContinuous200) {
  const std::vector<int> outputs = {100, 20, 50, 200, 30};
  std::vector<Job> jobs;
  for (const int output : outputs) jobs.push_back({output, 0});
  const SchedulePrediction by_static = predict_static(jobs, 4), by_continuous = predict_continuous(jobs, 4);
  EXPECT_EQ(by_static.steps, 230);
  EXPECT_EQ(by_continuous.steps, 200);
  EXPECT_EQ(by_static.first_steps[4], 200);
  EXPECT_EQ(by_continuous.first_steps[4], 20);
  EXPECT_EQ(by_static.steps * 50, 11'500) << "milliseconds";
  EXPECT_EQ(by_continuous.steps * 50, 10'000);
  EXPECT_EQ((by_continuous.first_steps[4] + 30) * 50, 2'500) << "E is done";

  const auto play = [&](auto& run) {  // steps in all, and after how many E began
    for (const int output : outputs) run.add(1, output);
    int64_t steps = 0, first_of_e = -1, slot_steps = 0;
    for (; !run.done(); ++steps) {
      const StepPlan plan = run.step();
      slot_steps += std::ssize(plan.scheduled);
      const bool has_e = std::ranges::any_of(plan.scheduled, [](const auto& part) { return part.sequence->id == 4; });
      if (has_e && first_of_e < 0) first_of_e = steps;
    }
    EXPECT_EQ(slot_steps, 400) << "the tokens of all five, whoever schedules them";
    return std::pair(steps, first_of_e);
  };
  ContinuousRun continuous({.max_running = 4}, 1000, 16);
  StaticRun batches({.max_running = 4}, 1000, 16, Padding::computed);
  EXPECT_EQ(play(continuous), (std::pair<int64_t, int64_t>(200, 20)));
  EXPECT_EQ(play(batches), (std::pair<int64_t, int64_t>(230, 200)));
}

// The page's first exercise: the order of the requests is all that differs.
TEST(WorkedExample, SortedRequestsFlatterStaticBatches) {
  const auto steps = [](const std::vector<int64_t>& outputs) {
    std::vector<Job> jobs;
    for (const int64_t output : outputs) jobs.push_back({output, 0});
    return std::pair(predict_static(jobs, 4).steps, predict_continuous(jobs, 4).steps);
  };
  EXPECT_EQ(steps({8, 8, 8, 8, 1, 1, 1, 1}), (std::pair<int64_t, int64_t>(9, 9)));
  EXPECT_EQ(steps({8, 1, 8, 1, 8, 1, 8, 1}), (std::pair<int64_t, int64_t>(16, 10)));
}

TEST(Predictions, ArrivalsAndGaps) {
  const std::vector<Job> jobs = {{4, 0}, {2, 1}, {3, 2}, {1, 20}};
  const SchedulePrediction two = predict_continuous(jobs, 2);
  EXPECT_EQ(two.first_steps, (std::vector<int64_t>{0, 1, 3, 20}));
  EXPECT_EQ(two.steps, 7) << "0 to 5, and 20";
  const SchedulePrediction batches = predict_static(jobs, 2);
  EXPECT_EQ(batches.first_steps, (std::vector<int64_t>{0, 4, 4, 20})) << "at step 0 only the first is there";
  EXPECT_EQ(batches.steps, 4 + 3 + 1);
}

}  // namespace
}  // namespace llm
