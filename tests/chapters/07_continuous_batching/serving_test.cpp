// What stands around the engine: loads, percentiles, costs, what is written and drawn.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "chapters/07_continuous_batching/load_generator.h"
#include "chapters/07_continuous_batching/serving_metrics.h"
#include "chapters/07_continuous_batching/serving_output.h"
#include "chapters/07_continuous_batching/serving_predictions.h"
#include "chapters/07_continuous_batching/static_scheduler.h"
#include "tests/support/tiny_model.h"

namespace llm {
namespace {

TEST(LoadGenerator, TheSameSeedMakesTheSameLoad) {
  ModelConfig config = tiny_config("llama");
  config.context_length = 512;
  LoadParams load{.num_requests = 50};
  load.params = {.max_tokens = 100, .ignore_eos = false, .sampling = {.seed = 5}};
  const std::vector<Request> a = make_load(load, config), b = make_load(load, config);
  ASSERT_EQ(a.size(), 50u);
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].prompt, b[i].prompt);
    EXPECT_EQ(a[i].params.max_tokens, b[i].params.max_tokens);
    EXPECT_EQ(a[i].arrival_step, b[i].arrival_step);
    EXPECT_EQ(a[i].params.sampling.seed, 5 + i);
  }
  load.params.sampling.seed = 6;
  EXPECT_NE(make_load(load, config)[0].prompt, a[0].prompt);
}

TEST(LoadGenerator, LengthsAndArrivalsAreAsStated) {
  ModelConfig config = tiny_config("llama");
  config.context_length = 1 << 20;
  LoadParams load{.num_requests = 20000, .prompt_mean = 12.0, .output_mean = 40.0, .arrival_rate = 0.5};
  load.params.max_tokens = 1 << 20;
  const std::vector<Request> requests = make_load(load, config);
  double prompt = 0.0, output = 0.0;
  int64_t ones = 0;
  for (const Request& r : requests) {
    prompt += static_cast<double>(r.prompt.size()) / 20000;
    output += r.params.max_tokens / 20000.0;
    ones += r.prompt.size() == 1;
  }
  EXPECT_NEAR(prompt, 12.0, 0.3) << "standard error 0.08";
  EXPECT_NEAR(output, 40.0, 1.2);
  EXPECT_NEAR(static_cast<double>(ones) / 20000, 1.0 / 12.0, 0.01)
      << "geometric: of length 1 with probability 1 / mean";
  EXPECT_NEAR(static_cast<double>(requests.back().arrival_step), 40000.0, 1200.0) << "standard error 283";
  load.arrival_rate = 0.0;
  EXPECT_EQ(make_load(load, config).back().arrival_step, 0) << "all at once";
}

TEST(LoadGenerator, EveryTextFits) {
  const ModelConfig config = tiny_config("llama");
  LoadParams load{.num_requests = 500, .prompt_mean = 60.0, .output_mean = 60.0};
  load.params.max_tokens = 30;
  for (const Request& r : make_load(load, config)) {
    EXPECT_LE(std::ssize(r.prompt), 24);
    EXPECT_LE(r.params.max_tokens, 30);
    EXPECT_LE(std::ssize(r.prompt) + r.params.max_tokens, 48);
    EXPECT_GE(r.params.max_tokens, 1);
  }
}

TEST(Percentile, IsTheNearestRank) {
  const std::vector<double> values = {40, 15, 50, 20, 35};
  EXPECT_EQ(percentile(values, 30), 20);
  EXPECT_EQ(percentile(values, 40), 20);
  EXPECT_EQ(percentile(values, 50), 35);
  EXPECT_EQ(percentile(values, 99), 50);
  EXPECT_EQ(percentile({7}, 50), 7);
  EXPECT_TRUE(std::isnan(percentile({}, 50)));
}

// Three requests in two slots, one block too few for a fourth.
class Served : public testing::Test {
 protected:
  Served()
      : model{"tiny", tiny_transformer(tiny_config("llama"), 4),
              std::make_shared<Tokenizer>(Tokenizer::load("tests/reference/tokenizer/gpt2"))},
        cache(model.config(), {6, 8, 48, 2}, DType::f32),
        scheduler({.token_budget = 6, .max_running = 2}, cache),
        engine(model, cache, scheduler, model.transformer->ops().attend) {
    for (const auto& [prompt_len, max_tokens] : {std::pair{4, 2}, {8, 1}, {2, 3}, {40, 40}}) {
      Request request{fmt::format("r{}", engine.sequences().size()), std::vector<int32_t>(prompt_len, 9), {}};
      request.params = {.max_tokens = max_tokens, .ignore_eos = true, .sampling = {}};
      if (max_tokens == 3) request.arrival_step = 1;
      if (max_tokens == 40) request.prompt.resize(48, 9);
      engine.submit(std::move(request));
    }
    while (engine.step()) {
    }
  }

  LoadedModel model;
  PagedKvCache cache;
  Scheduler scheduler;
  Engine engine;
};

// Step 0: r0 4, r1 2. Step 1: r0 1, r1 5. Step 2: r1 1, r2 2. Then r2 alone, twice.
TEST_F(Served, StepsAreLogged) {
  const std::string log = describe_steps(engine);
  EXPECT_EQ(
      log,
      R"({"step":0,"scheduled":{"r0":4,"r1":2},"running":2,"waiting":0,"preempted":[],"finished":[],"free_blocks":4}
{"step":1,"scheduled":{"r0":1,"r1":5},"running":2,"waiting":1,"preempted":[],"finished":["r0"],"free_blocks":5}
{"step":2,"scheduled":{"r1":1,"r2":2},"running":2,"waiting":0,"preempted":[],"finished":["r1"],"free_blocks":5}
{"step":3,"scheduled":{"r2":1},"running":1,"waiting":0,"preempted":[],"finished":[],"free_blocks":5}
{"step":4,"scheduled":{"r2":1},"running":1,"waiting":0,"preempted":[],"finished":["r2"],"free_blocks":6}
)");
}

TEST_F(Served, ResultsAreInTheOrderOfTheRequests) {
  const std::string results = describe_results(engine);
  std::vector<Json> lines;
  for (size_t begin = 0; begin < results.size(); begin = results.find('\n', begin) + 1) {
    lines.push_back(Json::parse(results.substr(begin, results.find('\n', begin) - begin), "results"));
  }
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[0].at("id").string(), "r0");
  EXPECT_EQ(lines[2].at("token_ids").size(), 3u);
  EXPECT_EQ(lines[2].at("finish_reason").string(), "length");
  EXPECT_EQ(lines[2].at("cached_tokens").integer(), 0);
  EXPECT_EQ(lines[2].at("preemptions").integer(), 0);
  EXPECT_GT(lines[2].at("ttft_ms").number(), 0.0);
  EXPECT_EQ(lines[2].at("text").string(), model.text(engine.sequences()[2].generation.token_ids()));
  EXPECT_FALSE(lines[2].has("reason"));
  EXPECT_EQ(lines[3].at("finish_reason").string(), "rejected");
  EXPECT_TRUE(lines[3].at("ttft_ms").is_null());
  EXPECT_EQ(lines[3].at("reason").string(),
            "its prompt has 48 tokens, but a text has 48 at most and one of them must be new");
}

TEST_F(Served, MetricsCountSlotsAndTokens) {
  const ServingMetrics m = measure(engine, 2);
  EXPECT_EQ(m.steps, 5);
  EXPECT_EQ(m.slot_steps, 10);
  EXPECT_EQ(m.idle_slot_steps, 2);
  EXPECT_EQ(m.busy_slots, (std::vector<int32_t>{2, 2, 2, 1, 1})) << "as they are drawn below";
  EXPECT_EQ(m.tokens_computed, 4 + 1 + 8 + 2 + 2);
  EXPECT_EQ(m.tokens_generated, 6);
  EXPECT_EQ(m.ttft_ms.size(), 3u);
  EXPECT_EQ(m.itl_ms.size(), 3u);
  EXPECT_EQ(m.preemptions, 0);
  EXPECT_GT(m.seconds, 0.0);
  EXPECT_EQ(describe_metrics(m).at("idle_slot_steps").integer(), 2);
}

TEST_F(Served, SlotsAreDrawn) {
  EXPECT_EQ(draw_slots(engine, 2, 1), "  slot  0  AACCC\n  slot  1  BBB..\n");
  EXPECT_EQ(draw_slots(engine, 2, 2), "  slot  0  ACC\n  slot  1  B..\n");
  EXPECT_EQ(list_arrivals(engine), "  A     4 + 2 @ 0     B     8 + 1 @ 0     D   48 + 40 @ 0     C     2 + 3 @ 1\n");
}

// The weights once, each part's keys and values, and a row of logits for each that was sampled.
TEST_F(Served, AStepsCost) {
  const Transformer& t = *model.transformer;
  const ModelConfig& c = model.config();
  const StepRecord& record = engine.log()[1];
  EXPECT_EQ(record.num_logits, 1) << "r1 has one token of its prompt left";
  const StepCost cost = cost_of(t, record);
  const double per_token = c.kv_bytes_per_token(4), head = 2.0 * c.vocab_size * c.hidden_size;
  EXPECT_DOUBLE_EQ(cost.bytes, count_bytes(t, 0) + per_token * (5 + 7));
  EXPECT_DOUBLE_EQ(cost.flops, count_flops(c, 1, 5) + count_flops(c, 5, 7) - head);
  EXPECT_DOUBLE_EQ(predict_step_ms(cost, {cost.bytes, cost.flops * 2.0}), 1000.0) << "bound by memory";
  EXPECT_DOUBLE_EQ(predict_step_ms(cost, {cost.bytes * 2.0, cost.flops}), 1000.0) << "bound by arithmetic";
  StepRecord padded = record;
  padded.num_padding = 3;
  padded.num_logits += 3;
  EXPECT_DOUBLE_EQ(cost_of(t, padded).flops - cost.flops, 3.0 * count_flops(c, 1, 0));
  EXPECT_DOUBLE_EQ(cost_of(t, padded).bytes, cost.bytes);
}

}  // namespace
}  // namespace llm
