// The engine with a prompt cache: the same words as without, for less work.
#include "chapters/08_prompt_caching/prompt_service.h"

#include <random>

#include "chapters/07_continuous_batching/alone.h"
#include "chapters/08_prompt_caching/load_comparison.h"
#include "chapters/08_prompt_caching/ttft_probe.h"
#include "tests/chapters/08_prompt_caching/prefix_requests.h"
#include "tests/support/gpu_device.h"
#include "tests/support/tiny_model.h"

namespace llm {
namespace {

class PromptServices : public testing::Test {
 protected:
  void load(Device device) { model = {"tiny", tiny_transformer(tiny_config("llama"), 3, DType::f32, device), nullptr}; }
  void SetUp() override { load(Device::cpu); }
  Device device() const { return model.transformer->device(); }
  AttendFn attend() const { return model.transformer->ops().attend; }

  // Prompts that go on from one of a few beginnings.
  std::vector<Request> random_requests(int64_t count, std::mt19937_64& random) const {
    std::vector<Ids> beginnings;
    for (const int64_t length : {5, 16, 21}) beginnings.push_back(random_ids(random, length, 131));
    std::vector<Request> requests;
    for (int64_t i = 0; i < count; ++i) {
      Ids prompt = beginnings[random() % beginnings.size()];
      const Ids rest = random_ids(random, 1 + static_cast<int64_t>(random() % 9), 3);
      prompt.insert(prompt.end(), rest.begin(), rest.end());
      Request request{std::to_string(i), prompt, {1 + static_cast<int>(random() % 12), true, {}}};
      request.arrival_step = static_cast<int64_t>(random() % static_cast<uint64_t>(2 * count));
      if (random() % 4 == 0) request.salt = "tenant";
      if (random() % 4 == 0) request.params.sampling = {.temperature = 0.9, .seed = random()};
      if (random() % 16 == 0) request.cancel_step = request.arrival_step + static_cast<int64_t>(random() % 9);
      requests.push_back(request);
    }
    return requests;
  }

  void expect_texts_of_their_own(const std::vector<const Sequence*>& sequences) const {
    for (const Sequence* s : sequences) {
      if (s->generation.token_ids().empty()) continue;  // its client left early
      const Comparison comparison =
          compare_alone(generate_alone(*model.transformer, attend(), s->request), *s, near_tie(DType::f32));
      ASSERT_TRUE(comparison.same) << "request " << s->request.id << ": " << describe(comparison);
      if (device() == Device::cpu) {
        ASSERT_FALSE(comparison.first_difference) << "and to the last bit";
      }
    }
  }

  LoadedModel model;
};

// Chunks, preemptions, evictions, salts and a cache, all at once.
TEST_F(PromptServices, EachRequestSaysWhatItSaysAlone) {
  std::mt19937_64 random(5);
  const std::vector<Request> requests = random_requests(200, random);
  const auto colliding = [](uint64_t, std::span<const int32_t>, std::string_view) -> uint64_t { return 1; };
  for (const HashBlockFn hash : {HashBlockFn(hash_block), HashBlockFn(colliding)}) {
    PromptService service(model, {24, 4, {20, 9, 5}, CacheRules{}, steady_clock(), hash}, attend());
    const std::vector<const Sequence*> sequences = service.serve(requests);
    expect_texts_of_their_own(sequences);
    int64_t cached = 0, preemptions = 0;
    for (const Sequence* s : sequences) {
      cached += s->num_cached_tokens;
      preemptions += s->num_preemptions;
    }
    EXPECT_GT(cached, 500) << "else the test does not test what it should";
    EXPECT_GT(preemptions, 8);
    EXPECT_GT(service.num_evicted(), 100);
    EXPECT_GT(service.most_shared_blocks(), 3);
    EXPECT_EQ(service.cache().pool().num_used(), 0) << "nothing is leaked";
  }
}

int64_t count_computed(const PromptService& service) {
  int64_t count = 0;
  for (const StepRecord& step : service.engine().log()) {
    for (const StepRecord::Part& part : step.parts) count += part.num_tokens;
  }
  return count;
}

// Two texts that outgrow the cache together: one is preempted, and finds its own blocks when it comes back.
TEST_F(PromptServices, APreemptedRequestFindsItsOwnBlocks) {
  const Request first{"a", count_from(10, 12), {20, true, {}}}, second{"b", count_from(50, 12), {20, true, {}}};
  int64_t computed[2];
  for (const bool cached : {false, true}) {
    ServiceParams params{12, 4, {64, INT32_MAX, 4}};
    if (cached) params.rules = CacheRules{};
    PromptService service(model, params, attend());
    const std::vector<const Sequence*> sequences = service.serve({first, second});
    expect_texts_of_their_own(sequences);
    EXPECT_GT(sequences[1]->num_preemptions, 0);
    EXPECT_EQ(service.usage_of(*sequences[1]).cached_tokens, 0);
    computed[cached] = count_computed(service);
  }
  EXPECT_EQ(computed[0], 2 * (12 + 19) + 24) << "24 tokens were known when the second had to leave";
  EXPECT_LT(computed[1], computed[0]);
  EXPECT_GT(computed[1], 2 * (12 + 19)) << "some of its blocks were needed by the first";
}

TEST_F(PromptServices, LoadsColdAndWarm) {
  ServiceParams params{64, 4, {48, INT32_MAX, 8}};
  PromptService cold(model, params, attend());
  double now = 0.0;
  params.rules = CacheRules{.min_tokens = 4};
  params.clock = [&] { return now; };
  PromptService warm(model, params, attend());
  for (const AssistantLoad& load : make_assistant_loads(model, 48)) {
    const LoadComparison result = compare_load(load, cold, warm, [&] { now += 299.0; });
    EXPECT_EQ(result.num_same, result.num_requests) << load.name;
    EXPECT_EQ(result.usage.cached_tokens, result.predicted_cached_tokens) << load.name;
    EXPECT_EQ(result.usage.cached_tokens > 0, load.name != "nothing in common") << load.name;
    EXPECT_EQ(result.num_too_short, 0);
  }
  // Between turns more time passes than a prompt is kept.
  const AssistantLoad chat = make_assistant_loads(model, 48)[1];
  EXPECT_EQ(compare_load(chat, cold, warm, [&] { now += 301.0; }).usage.cached_tokens, 0);
}

// Two services that do not agree: here because they have two models.
TEST_F(PromptServices, ADifferenceIsFound) {
  const LoadedModel other = {"other", tiny_transformer(tiny_config("llama"), 4), nullptr};
  const ServiceParams params{64, 4, {48, INT32_MAX, 8}};
  PromptService cold(other, params, attend()), warm(model, params, attend());
  EXPECT_EQ(compare_load(make_assistant_loads(model, 48)[0], cold, warm, [] {}).num_same, 0);
  EXPECT_FALSE(probe_ttft(model, cold, warm, 19, 17, 3, 1).same);
}

class PromptServicesOn : public PromptServices, public testing::WithParamInterface<Device> {
 protected:
  void SetUp() override {
    LLM_SKIP_WITHOUT(GetParam());
    load(GetParam());
  }
};

// Three requests in a cache too small for them, the second and third with a beginning that the first has computed.
TEST_P(PromptServicesOn, CachedTokensAreAsGoodAsComputedOnes) {
  std::vector<Request> requests;
  for (int i = 0; i < 3; ++i) {
    requests.push_back({std::to_string(i), join(count_from(10, 9), {i, 7}), {4, true, {}}});
    requests.back().arrival_step = 2 * i;
  }
  PromptService service(model, {6, 4, {16, INT32_MAX, 2}, CacheRules{}}, attend());
  const std::vector<const Sequence*> sequences = service.serve(requests);
  EXPECT_EQ(sequences[1]->num_cached_tokens, 8);
  EXPECT_EQ(sequences[2]->num_cached_tokens, 8);
  expect_texts_of_their_own(sequences);
}

TEST_P(PromptServicesOn, TheProbeIsCachedForMostOfItsPrompt) {
  ServiceParams params{32, 4, {48, INT32_MAX, 8}};
  PromptService cold(model, params, attend());
  params.rules = CacheRules{};
  PromptService warm(model, params, attend());
  const TtftProbe probe = probe_ttft(model, cold, warm, 19, 17, 3, 1);
  EXPECT_TRUE(probe.same);
  EXPECT_EQ(probe.prompt_tokens, 19);
  EXPECT_EQ(probe.cached_tokens, 16);
  EXPECT_EQ(probe.cold_ms.size(), 1u);
  EXPECT_GT(probe.ttft_ratio(), 0.0);
}

INSTANTIATE_TEST_SUITE_P(Devices, PromptServicesOn, testing::Values(Device::cpu, Device::simt, Device::cuda),
                         [](const auto& test) { return std::string(name_of(test.param)); });

}  // namespace
}  // namespace llm
