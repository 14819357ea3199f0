// Ten thousand requests on the embedded draft model: nothing leaks, nothing is lost, and every text is chapter 2's for
// that request alone.
#include <gtest/gtest.h>

#include <map>

#include "chapters/07_continuous_batching/alone.h"
#include "chapters/07_continuous_batching/engine.h"
#include "chapters/07_continuous_batching/load_generator.h"
#include "tests/common/ops/ops_testing.h"

namespace llm {
namespace {

TEST(Soak, TenThousandRequests) {
  const Threads one(1);  // steps are short
  const LoadedModel model = load_model("models/stories-draft", DType::f32, Device::cpu);
  LoadParams load{.num_requests = 10'000, .prompt_mean = 20.0, .output_mean = 14.0, .arrival_rate = 0.9};
  load.params.max_tokens = 120;
  std::vector<Request> requests = make_load(load, model.config());
  for (size_t i = 0; i < requests.size(); ++i) {
    if (i % 4 == 1) requests[i].params.sampling.temperature = 0.8;
    if (i % 5 == 2) requests[i].params.ignore_eos = false;
    if (i % 31 == 3) requests[i].cancel_step = requests[i].arrival_step + static_cast<int64_t>(i % 40);
    if (i % 47 == 4) requests[i].stop = {"the", "and"};
    if (i % 2000 == 5) requests[i].params.max_tokens = 512;  // more than the pool has room for
    requests[i].priority = static_cast<int32_t>(i % 3);
  }

  const SchedulerParams params{.token_budget = 48, .max_chunk = 16, .max_running = 16, .policy = Policy::priority};
  PagedKvCache cache(model.config(), {30, 16, model.config().context_length, params.max_running}, DType::f32);
  Scheduler scheduler(params, cache);
  Engine engine(model, cache, scheduler, model.transformer->ops().attend);
  for (const Request& request : requests) engine.submit(request);
  while (engine.step()) {
    ASSERT_EQ(engine.log().empty() ? 30 : engine.log().back().free_blocks, cache.pool().num_free());
  }
  EXPECT_EQ(cache.pool().num_free(), 30) << "nothing leaked";
  for (int32_t block = 0; block < 30; ++block) EXPECT_EQ(cache.pool().ref_count(block), 0);

  std::map<FinishReason, int> reasons;
  int64_t preemptions = 0;
  ASSERT_EQ(engine.sequences().size(), requests.size()) << "nothing is lost";
  for (const Sequence& s : engine.sequences()) {
    ASSERT_TRUE(s.generation.finished()) << s.request.id;
    ++reasons[s.generation.finish_reason()];
    preemptions += s.num_preemptions;
    if (s.generation.finish_reason() == FinishReason::rejected) continue;
    const Generation alone = generate_alone(*model.transformer, model.transformer->ops().attend, s.request);
    const Comparison comparison = compare_alone(alone, s, 0.0f);
    ASSERT_TRUE(comparison.same) << s.request.id << ": " << describe(comparison);
  }
  EXPECT_EQ(reasons[FinishReason::rejected], 5);
  EXPECT_GT(reasons[FinishReason::cancelled], 50);
  EXPECT_GT(reasons[FinishReason::stop], 100);
  EXPECT_GT(reasons[FinishReason::length], 8000);
  EXPECT_GT(preemptions, 500) << "else the test does not test what it should";
}

}  // namespace
}  // namespace llm
