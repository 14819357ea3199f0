// Whole requests through an engine: whatever the batch, the order, the chunk and the preemptions, each text is what it
// is alone.
#include "chapters/07_continuous_batching/engine.h"

#include <gtest/gtest.h>

#include <map>

#include "chapters/01_naive_generation/naive_generation.h"
#include "chapters/07_continuous_batching/alone.h"
#include "chapters/07_continuous_batching/static_scheduler.h"
#include "tests/common/ops/ops_testing.h"
#include "tests/support/gpu_device.h"
#include "tests/support/tiny_model.h"

namespace llm {
namespace {

using Ids = std::vector<int32_t>;

LoadedModel tiny_model(const std::string& family, DType dtype = DType::f32, Device device = Device::cpu) {
  ModelConfig config = tiny_config(family);
  config.eos_token_ids = {2, 30, 57, 84};  // so that some end early
  return {"tiny", tiny_transformer(config, 4, dtype, device), nullptr};
}

// Every third one draws its tokens.
std::vector<Request> random_requests(const ModelConfig& config, int count, int longest, uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<uint64_t>(n)); };
  std::vector<Request> requests;
  for (int i = 0; i < count; ++i) {
    Request request{fmt::format("r{}", i), random_ids(random, 1 + below(longest), config.vocab_size), {}};
    request.params.max_tokens = longest / 2 + below(longest / 2);
    request.params.ignore_eos = below(2) == 0;
    if (i % 3 == 2) {
      request.params.sampling = {.temperature = 1.1, .top_k = 40, .top_p = 0.95, .seed = static_cast<uint64_t>(i)};
    }
    request.arrival_step = below(longest / 2);
    request.priority = below(3);
    requests.push_back(std::move(request));
  }
  return requests;
}

struct Service {
  Service(const LoadedModel& model, const SchedulerParams& params, int32_t num_blocks, int32_t block_size,
          PrefixSource* prefix = nullptr)
      : cache(model.config(), {num_blocks, block_size, model.config().context_length, params.max_running},
              model.transformer->dtype(), model.transformer->device()),
        scheduler(std::make_unique<Scheduler>(params, cache, prefix)),
        engine(model, cache, *scheduler, model.transformer->ops().attend, prefix) {}
  Service(const LoadedModel& model, const SchedulerParams& params, Padding padding)
      : cache(model.config(), {60, 8, model.config().context_length, params.max_running}, model.transformer->dtype(),
              model.transformer->device()),
        scheduler(std::make_unique<StaticScheduler>(params, cache, padding)),
        engine(model, cache, *scheduler, model.transformer->ops().attend) {}

  void run(const std::vector<Request>& requests) {
    for (const Request& request : requests) engine.submit(request);
    while (engine.step()) {
    }
    EXPECT_EQ(cache.pool().num_used(), 0) << "all blocks are free at the end";
    EXPECT_EQ(engine.sequences().size(), requests.size());
  }

  PagedKvCache cache;
  std::unique_ptr<Scheduler> scheduler;
  Engine engine;
};

// To the last bit on the CPU; elsewhere by the rule of near-ties.
void expect_as_alone(const LoadedModel& model, const std::vector<Generation>& alone, const Engine& engine) {
  for (const Sequence& s : engine.sequences()) {
    const Generation& expected = alone[static_cast<size_t>(s.id)];
    if (model.transformer->device() == Device::cpu) {
      ASSERT_EQ(s.generation.token_ids(), expected.token_ids()) << s.request.id;
      ASSERT_EQ(s.generation.top_gaps(), expected.top_gaps()) << s.request.id;
      ASSERT_EQ(s.generation.finish_reason(), expected.finish_reason()) << s.request.id;
    } else {
      const Comparison comparison = compare_alone(expected, s, near_tie(model.transformer->dtype()));
      ASSERT_TRUE(comparison.same) << s.request.id << ": " << describe(comparison);
    }
  }
}

class EngineOn : public testing::TestWithParam<std::tuple<Device, DType>> {};

TEST_P(EngineOn, EachTextIsAsItIsAlone) {
  const auto [device, dtype] = GetParam();
  LLM_SKIP_WITHOUT(device);
  const Threads one(1);  // the texts are short
  const bool cpu = device == Device::cpu;
  int64_t preemptions = 0;
  for (const std::string& family : tiny_families()) {
    SCOPED_TRACE(family);
    const LoadedModel model = tiny_model(family, dtype, device);
    const std::vector<Request> requests =
        device == Device::simt ? random_requests(model.config(), 4, 6, 2) : random_requests(model.config(), 14, 20, 7);
    std::vector<Generation> alone;
    for (const Request& r : requests) alone.push_back(generate_naive(*model.transformer, r.prompt, r.params));
    struct Case {
      SchedulerParams params;
      int32_t num_blocks, block_size;
    };
    std::vector<Case> cases = {
        {{.token_budget = 6, .max_chunk = 3, .max_running = 4}, device == Device::simt ? 3 : 10, 4}};
    if (cpu) {
      cases.push_back({{.token_budget = 1, .max_running = 3}, 50, 1});
      cases.push_back({{.token_budget = 7, .max_chunk = 3, .max_running = 8, .policy = Policy::priority}, 12, 4});
      cases.push_back({{.token_budget = 200, .max_running = 14}, 60, 8});
      cases.push_back({{.token_budget = 64, .max_chunk = 1, .max_running = 5}, 4, 16});
      cases.push_back({{.token_budget = 64, .max_running = 1}, 60, 8});
    }
    for (const Case& c : cases) {
      Service service(model, c.params, c.num_blocks, c.block_size);
      service.run(requests);
      expect_as_alone(model, alone, service.engine);
      for (const Sequence& s : service.engine.sequences()) preemptions += s.num_preemptions;
    }
    for (const Padding padding : {Padding::computed, Padding::skipped}) {
      if (device == Device::simt && padding == Padding::skipped) continue;
      Service service(model, {.max_running = 3}, padding);
      service.run(requests);
      expect_as_alone(model, alone, service.engine);
    }
    if (device == Device::simt) break;  // slow: one family
  }
  EXPECT_GT(preemptions, 0) << "else the test does not test what it should";
}

INSTANTIATE_TEST_SUITE_P(Devices, EngineOn,
                         testing::Combine(testing::Values(Device::cpu, Device::simt, Device::cuda),
                                          testing::Values(DType::f32, DType::bf16)),
                         [](const auto& test) {
                           return std::string(name_of(std::get<0>(test.param))) + "_" +
                                  name_of(std::get<1>(test.param));
                         });

TEST(Engine, RequestsThatComeInTheMiddle) {
  const LoadedModel model = tiny_model("llama");
  Service service(model, {.max_running = 2}, 60, 8);
  const auto ask = [](const char* id, int64_t arrival_step) {
    Request request{id, {3, 4, 5}, {}};
    request.params = {.max_tokens = 4, .ignore_eos = true, .sampling = {}};
    request.arrival_step = arrival_step;
    return request;
  };
  service.engine.submit(ask("late", 100));
  const Sequence& first = service.engine.submit(ask("first", 0));
  ASSERT_TRUE(service.engine.step());
  EXPECT_EQ(first.generation.token_ids().size(), 1u);
  const Sequence& now = service.engine.submit(ask("now", 0));
  EXPECT_EQ(now.request.arrival_step, 1) << "the past is over";
  while (service.engine.step()) {
  }
  const std::vector<StepRecord>& log = service.engine.log();
  ASSERT_EQ(log.size(), 9u) << "4 steps, one more for who came a step later, and 4 for the last";
  EXPECT_EQ(log[5].step, 100) << "nothing is computed while nobody is there";
  EXPECT_EQ(log[1].parts.size(), 2u);
  EXPECT_EQ(log[1].parts[1].slot, 1);
  EXPECT_EQ(log[3].finished, (Ids{1}));
  EXPECT_EQ(log[4].finished, (Ids{2}));
  EXPECT_EQ(log[8].free_blocks, 60);
  EXPECT_FALSE(service.engine.step());
}

TEST(Engine, CancelledWhileWaitingPrefillingAndDecoding) {
  const LoadedModel model = tiny_model("llama");
  std::mt19937_64 random(3);
  std::vector<Request> requests;
  for (const auto& [id, cancel_step] : std::map<std::string, int64_t>{{"a", 9}, {"b", 3}, {"c", 1}, {"d", 1000}}) {
    Request request{id, random_ids(random, 20, 131), {}};
    request.params = {.max_tokens = 12, .ignore_eos = true, .sampling = {}};
    request.cancel_step = cancel_step;
    requests.push_back(std::move(request));
  }
  // Chunks of 4: five steps of prefill.
  Service service(model, {.token_budget = 8, .max_chunk = 4, .max_running = 2}, 60, 8);
  service.run(requests);
  std::vector<Generation> texts;
  for (const Sequence& s : service.engine.sequences()) {
    const Generation alone = generate_alone(*model.transformer, model.transformer->ops().attend, s.request);
    EXPECT_TRUE(compare_alone(alone, s, 0.0f).same) << s.request.id;
    texts.push_back(s.generation);
  }
  EXPECT_EQ(texts[0].finish_reason(), FinishReason::cancelled);
  EXPECT_EQ(texts[0].token_ids().size(), 5u) << "steps 4 to 8 made one each";
  EXPECT_EQ(texts[1].finish_reason(), FinishReason::cancelled);
  EXPECT_TRUE(texts[1].token_ids().empty()) << "it was in the middle of its prompt";
  EXPECT_EQ(texts[2].finish_reason(), FinishReason::cancelled);
  EXPECT_TRUE(texts[2].token_ids().empty()) << "it never ran";
  EXPECT_EQ(texts[3].finish_reason(), FinishReason::length);
  EXPECT_EQ(texts[3].token_ids().size(), 12u) << "it ended before its client went";
  EXPECT_EQ(service.engine.log()[3].finished, (Ids{1})) << "and its slot is taken in the same step";
  EXPECT_EQ(service.engine.log()[3].parts[1].sequence_id, 3);
}

TEST(Engine, WhatCanNeverFitIsRejectedAndTheOthersGoOn) {
  const LoadedModel model = tiny_model("llama");
  std::vector<Request> requests(3, Request{"", {3, 4, 5, 6}, {}});
  for (Request& request : requests) request.params = {.max_tokens = 4, .ignore_eos = true, .sampling = {}};
  requests[0].params.max_tokens = 40;
  requests[1].prompt = Ids(48, 7);
  Service service(model, {.max_running = 2}, 3, 8);
  service.run(requests);
  const auto& all = service.engine.sequences();
  EXPECT_EQ(all[0].generation.finish_reason(), FinishReason::rejected);
  EXPECT_EQ(all[1].generation.finish_reason(), FinishReason::rejected);
  EXPECT_EQ(all[2].generation.finish_reason(), FinishReason::length);
  EXPECT_EQ(service.engine.refusal(all[0]),
            "its prompt of 4 tokens and up to 40 more take 6 blocks of 8, but there are 3 in all");

  Service none(model, {.max_running = 2}, 3, 8);
  none.run({requests[0]});
  EXPECT_TRUE(none.engine.log().empty()) << "not one step was computed";
}

TEST(Engine, WhatEndsAText) {
  LoadedModel model = tiny_model("llama");
  model.tokenizer = std::make_shared<Tokenizer>(Tokenizer::load("tests/reference/tokenizer/gpt2"));
  const Ids prompt = {3, 4, 5, 6, 7};
  Request whole{"whole", prompt, {.max_tokens = 20, .ignore_eos = true, .sampling = {}}};
  const Generation alone = generate_alone(*model.transformer, model.transformer->ops().attend, whole);
  const std::string text = model.tokenizer->decode(alone.token_ids());

  Request by_id = whole, by_text = whole, full = whole;
  by_id.params.stop_token_ids = {alone.token_ids()[6]};
  by_text.stop = {"no such text", text.substr(text.size() / 2, 3)};
  full.params.max_tokens = 1000;
  Service service(model, {.token_budget = 64}, 60, 8);
  service.run({whole, by_id, by_text, full});
  const auto& all = service.engine.sequences();
  EXPECT_EQ(all[0].output.text(), text);
  EXPECT_EQ(all[0].generation.finish_reason(), FinishReason::length);

  EXPECT_EQ(all[1].generation.finish_reason(), FinishReason::stop);
  const Ids& ids = all[1].generation.token_ids();
  EXPECT_EQ(ids.back(), alone.token_ids()[6]) << "kept among the ids";
  EXPECT_EQ(all[1].output.text(), model.tokenizer->decode({ids.begin(), ids.end() - 1})) << "but not in the text";

  EXPECT_EQ(all[2].generation.finish_reason(), FinishReason::stop);
  EXPECT_EQ(all[2].output.text(), text.substr(0, text.find(by_text.stop[1])));
  EXPECT_LT(all[2].generation.token_ids().size(), alone.token_ids().size());
  EXPECT_TRUE(compare_alone(alone, all[2], 0.0f).same) << "how the whole begins";

  EXPECT_EQ(all[3].generation.finish_reason(), FinishReason::context);
  EXPECT_EQ(all[3].generation.all().size(), 48u);
}

TEST(Engine, ComparesWhatWasCutShort) {
  const LoadedModel model = tiny_model("llama");
  Request request{"a", {3, 4, 5}, {.max_tokens = 6, .ignore_eos = true, .sampling = {}}};
  const Generation alone = generate_alone(*model.transformer, model.transformer->ops().attend, request);
  request.params.max_tokens = 4;
  Service service(model, {}, 60, 8);
  service.run({request});
  EXPECT_FALSE(compare_alone(alone, service.engine.sequences()[0], 0.0f).same) << "two tokens are missing";
  const OneByOne one_by_one(*model.transformer, model.transformer->ops().attend, service.engine.sequences());
  EXPECT_EQ(one_by_one.num_tokens, 4);
  const SameTexts same = compare_all(one_by_one, service.engine.sequences(), 0.0f);
  EXPECT_TRUE(same.all());
  EXPECT_EQ(same.num_compared, 1);
}

// Finds full blocks by the tokens up to their ends; as long as no block is used a second time, that is enough.
struct RememberAll : PrefixSource {
  PagedKvCache* cache = nullptr;
  std::map<Ids, int32_t> blocks;
  int64_t num_records = 0;

  Ids match(const Sequence& s) const override {
    Ids found;
    const int32_t size = cache->block_size();
    for (int32_t end = size; end < s.num_known_tokens(); end += size) {
      const auto at = blocks.find({s.generation.all().begin(), s.generation.all().begin() + end});
      if (at == blocks.end()) break;
      found.push_back(at->second);
    }
    return found;
  }
  void record(const Sequence& s) override {
    ++num_records;
    const Ids table = cache->block_table(s.id);
    for (int32_t b = 0; (b + 1) * cache->block_size() <= s.num_computed_tokens; ++b) {
      const auto end = s.generation.all().begin() + (b + 1) * cache->block_size();
      blocks.try_emplace({s.generation.all().begin(), end}, table[static_cast<size_t>(b)]);
    }
  }
};

TEST(Engine, BeginsBehindWhatAPrefixSourceKnows) {
  const LoadedModel model = tiny_model("llama");
  std::mt19937_64 random(3);
  const Ids shared = random_ids(random, 16, 131);
  std::vector<Request> requests;
  for (int i = 0; i < 4; ++i) {
    Request request{fmt::format("r{}", i), shared, {.max_tokens = 5, .ignore_eos = true, .sampling = {}}};
    if (i > 0) request.prompt.resize(16 + static_cast<size_t>(i) * 3, i);
    request.arrival_step = 8 * i;
    requests.push_back(std::move(request));
  }
  requests.push_back(requests[0]);  // the same once more: its last block is computed anew
  requests.back().arrival_step = 50;
  RememberAll prefix;
  Service service(model, {.max_running = 2}, 200, 8, &prefix);
  prefix.cache = &service.cache;
  service.run(requests);
  std::vector<int32_t> cached;
  int64_t computed = 0;
  for (const Sequence& s : service.engine.sequences()) {
    const Generation alone = generate_alone(*model.transformer, model.transformer->ops().attend, s.request);
    EXPECT_TRUE(compare_alone(alone, s, 0.0f).same) << s.request.id;
    EXPECT_EQ(s.generation.top_gaps(), alone.top_gaps());
    cached.push_back(s.num_cached_tokens);
    computed += s.generation.token_passes();
  }
  EXPECT_EQ(cached, (Ids{0, 16, 16, 16, 8}));
  EXPECT_EQ(computed, 16 + 3 + 6 + 9 + 8 + 5 * 4)
      << "the rest of each prompt, and all but the last token of each answer";
  EXPECT_EQ(prefix.num_records, 5 * 5) << "each in each of its steps";
}

}  // namespace
}  // namespace llm
