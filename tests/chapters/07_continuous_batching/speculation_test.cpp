// Drafts in the engine: verified beside chunks of prompts, cut by the budget, dropped for want of blocks.
#include <gtest/gtest.h>

#include "chapters/02_kv_cache/contiguous_kv_cache.h"
#include "chapters/06_speculative_decoding/model_drafter.h"
#include "chapters/06_speculative_decoding/scripted_drafter.h"
#include "chapters/07_continuous_batching/alone.h"
#include "chapters/07_continuous_batching/engine.h"
#include "tests/common/ops/ops_testing.h"
#include "tests/support/tiny_model.h"

namespace llm {
namespace {

constexpr int kMaxDraft = 4;

std::vector<Request> random_requests(const ModelConfig& config, int count) {
  std::mt19937_64 random(11);
  std::vector<Request> requests;
  for (int i = 0; i < count; ++i) {
    const auto prompt_len = 1 + static_cast<int64_t>(random() % 12);
    Request request{std::to_string(i), random_ids(random, prompt_len, config.vocab_size), {}};
    request.params = {.max_tokens = 1 + static_cast<int>(random() % 20), .ignore_eos = i % 2 == 0, .sampling = {}};
    request.arrival_step = static_cast<int64_t>(random() % 20);
    if (i % 7 == 3) request.cancel_step = request.arrival_step + 4;
    requests.push_back(std::move(request));
  }
  return requests;
}

class Speculation : public testing::Test {
 protected:
  void SetUp() override {
    ModelConfig config = tiny_config("llama");
    config.eos_token_ids = {2, 30, 57, 84};
    model = {"tiny", tiny_transformer(config, 4), nullptr};
    requests = random_requests(config, 16);
    for (const Request& request : requests) {
      alone.push_back(generate_alone(*model.transformer, model.transformer->ops().attend, request));
    }
  }

  struct Counts {
    int64_t drafted = 0, accepted = 0, preemptions = 0, steps = 0, scheduled = 0;
  };

  Counts expect_as_alone(Drafter* drafter, const SchedulerParams& params, int32_t num_blocks) const {
    const ModelConfig& config = model.config();
    PagedKvCache cache(config, {num_blocks, 4, static_cast<int32_t>(config.context_length), params.max_running},
                       DType::f32);
    Scheduler scheduler(params, cache);
    Engine engine(model, cache, scheduler, model.transformer->ops().attend);
    if (drafter != nullptr) engine.speculate(*drafter, kMaxDraft);
    for (const Request& request : requests) engine.submit(request);
    while (engine.step()) {
      EXPECT_EQ(cache.pool().num_free() + cache.pool().num_used(), num_blocks);
      for (const Sequence* s : scheduler.running()) {
        EXPECT_EQ(cache.length(s->id), s->num_computed_tokens) << "what was rejected is gone";
        EXPECT_LT(s->num_computed_tokens, s->num_known_tokens());
        EXPECT_TRUE(s->draft.tokens.empty());
      }
    }
    EXPECT_EQ(cache.pool().num_used(), 0);
    Counts counts;
    for (const StepRecord& step : engine.log()) {
      int32_t tokens = 0;
      for (const StepRecord::Part& part : step.parts) {
        counts.drafted += part.num_drafted;
        counts.accepted += part.num_accepted;
        tokens += part.num_tokens;
      }
      EXPECT_LE(tokens, params.token_budget);
    }
    counts.steps = std::ssize(engine.log());
    for (const Sequence& s : engine.sequences()) {
      counts.preemptions += s.num_preemptions;
      const Generation& expected = alone[static_cast<size_t>(s.id)];
      if (s.generation.finish_reason() == FinishReason::cancelled) {
        EXPECT_TRUE(compare_alone(expected, s, 0.0f).same) << s.id;
        continue;
      }
      EXPECT_EQ(s.generation.token_ids(), expected.token_ids()) << s.id;
      EXPECT_EQ(s.generation.top_gaps(), expected.top_gaps()) << s.id;
      EXPECT_EQ(s.generation.finish_reason(), expected.finish_reason()) << s.id;
    }
    return counts;
  }

  std::map<int32_t, std::vector<int32_t>> scripts() const {
    std::map<int32_t, std::vector<int32_t>> scripts;
    for (size_t i = 0; i < alone.size(); ++i) scripts[static_cast<int32_t>(i)] = alone[i].all();
    return scripts;
  }

  LoadedModel model;
  std::vector<Request> requests;
  std::vector<Generation> alone;
};

TEST_F(Speculation, DraftsNeverChangeAGreedyText) {
  const Counts plain = expect_as_alone(nullptr, {.token_budget = 40, .max_running = 6}, 100);
  EXPECT_EQ(plain.drafted, 0);
  for (const double acceptance : {1.0, 0.6, 0.0}) {
    SCOPED_TRACE(acceptance);
    ScriptedDrafter drafter(scripts(), acceptance, model.config().vocab_size);
    const Counts roomy = expect_as_alone(&drafter, {.token_budget = 40, .max_running = 6}, 100);
    EXPECT_GT(roomy.drafted, 50);
    EXPECT_EQ(roomy.accepted == 0, acceptance == 0.0);
    if (acceptance == 1.0) {
      EXPECT_LT(roomy.steps, plain.steps);
    }
    const Counts tight = expect_as_alone(&drafter, {.token_budget = 7, .max_chunk = 3, .max_running = 6}, 12);
    EXPECT_GT(tight.preemptions, 0) << "else the test does not test what it should";
    EXPECT_GT(tight.drafted, 10);
  }
}

TEST_F(Speculation, ADraftModelWithItsOwnCache) {
  const auto draft_model = tiny_transformer(model.config(), 5);
  for (const bool same_weights : {false, true}) {
    const Transformer& drafting = same_weights ? *model.transformer : *draft_model;
    const int64_t context = model.config().context_length;
    ContiguousKvCache memory(drafting.config(), context, std::ssize(requests), DType::f32);
    ModelDrafter drafter(drafting, memory, drafting.ops().attend, 6 * context, 6, 1);
    const Counts counts = expect_as_alone(&drafter, {.token_budget = 20, .max_chunk = 5, .max_running = 6}, 12);
    EXPECT_GT(counts.preemptions, 0);
    EXPECT_GT(counts.drafted, 10);
    if (same_weights) {
      EXPECT_GT(counts.accepted, counts.drafted * 9 / 10) << "all but what comes after a text's end";
    }
    for (int32_t id = 0; id < 16; ++id) EXPECT_EQ(memory.length(id), 0) << "the drafter forgets who has gone";
  }
}

// A draft is given up before another sequence is thrown out for it.
TEST_F(Speculation, NobodyIsPreemptedForAGuess) {
  requests.resize(2);
  for (Request& request : requests) {
    request = {request.id, {3, 4, 5}, {.max_tokens = 6, .ignore_eos = true, .sampling = {}}};
  }
  alone.assign(2, generate_alone(*model.transformer, model.transformer->ops().attend, requests[0]));
  ScriptedDrafter drafter(scripts(), 0.0, model.config().vocab_size);
  // 3 + 5 tokens of each are two blocks of 4 each; a draft at the end of the second block has no room.
  const Counts counts = expect_as_alone(&drafter, {.max_running = 2}, 4);
  EXPECT_EQ(counts.preemptions, 0);
  EXPECT_GT(counts.drafted, 0);
}

}  // namespace
}  // namespace llm
