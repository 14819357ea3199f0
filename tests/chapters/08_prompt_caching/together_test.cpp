// Everything at once: a prompt cache, chunks, preemptions, a model with groups of query heads, flash attention and
// drafts. Each text is still chapter 1's.
#include "chapters/01_naive_generation/naive_generation.h"
#include "chapters/02_kv_cache/contiguous_kv_cache.h"
#include "chapters/04_flash_attention/flash_attend.h"
#include "chapters/06_speculative_decoding/model_drafter.h"
#include "chapters/06_speculative_decoding/ngram_drafter.h"
#include "chapters/07_continuous_batching/alone.h"
#include "chapters/08_prompt_caching/prompt_service.h"
#include "tests/chapters/08_prompt_caching/prefix_requests.h"
#include "tests/support/gpu_device.h"
#include "tests/support/tiny_model.h"

namespace llm {
namespace {

class Together : public testing::TestWithParam<Device> {
 protected:
  void SetUp() override {
    LLM_SKIP_WITHOUT(device);
    ASSERT_LT(tiny_config("llama").num_kv_heads, tiny_config("llama").num_heads);
    model = {"tiny", tiny_transformer(tiny_config("llama"), 3, DType::f32, device), nullptr};
    on_cpu = tiny_transformer(tiny_config("llama"), 3);
  }

  // Greedy, from a few beginnings that repeat themselves, so that there is something to look up.
  std::vector<Request> make_requests(int count) const {
    std::mt19937_64 random(9);
    const std::vector<Ids> beginnings = {join(count_from(10, 8), count_from(10, 8)), count_from(40, 9)};
    std::vector<Request> requests;
    for (int i = 0; i < count; ++i) {
      const Ids rest = random_ids(random, 1 + static_cast<int64_t>(random() % 5), 3);
      Request request{std::to_string(i), join(beginnings[random() % 2], rest), {}};
      const int shortest = device == Device::simt ? 2 : 4;  // the simulator is slow
      request.params = {
          .max_tokens = shortest * static_cast<int>(1 + random() % 4), .ignore_eos = true, .sampling = {}};
      request.arrival_step = i;
      requests.push_back(std::move(request));
    }
    return requests;
  }

  void expect_as_chapter_1(const std::vector<Request>& requests, Drafter& drafter) const {
    ServiceParams params{.num_blocks = 11,
                         .block_size = 4,
                         .scheduler = {.token_budget = 12, .max_chunk = 7, .max_running = 5},
                         .rules = CacheRules{}};
    params.drafter = &drafter;
    PromptService service(model, params, flash_attend(device));
    const std::vector<const Sequence*> sequences = service.serve(requests);
    int64_t cached = 0, preemptions = 0, chunks = 0, drafted = 0, accepted = 0;
    for (const Sequence* s : sequences) {
      const Generation expected = generate_naive(*on_cpu, s->request.prompt, s->request.params);
      const Comparison comparison = compare_alone(expected, *s, near_tie(DType::f32));
      EXPECT_TRUE(comparison.same) << "request " << s->id << ": " << describe(comparison);
      cached += s->num_cached_tokens;
      preemptions += s->num_preemptions;
    }
    for (const StepRecord& step : service.engine().log()) {
      for (const StepRecord::Part& part : step.parts) {
        chunks += !part.sampled;
        drafted += part.num_drafted;
        accepted += part.num_accepted;
      }
    }
    // Else the test does not test what it should.
    EXPECT_GT(cached, 0);
    EXPECT_GT(preemptions, 0);
    EXPECT_GT(chunks, 0);
    if (device != Device::simt) {  // its few, short texts have no use for their drafts
      EXPECT_GT(accepted, 0);
    }
    EXPECT_LT(accepted, drafted);
    EXPECT_EQ(service.cache().pool().num_used(), 0);
  }

  Device device = GetParam();
  LoadedModel model;
  std::shared_ptr<const Transformer> on_cpu;  // with the same weights
};

TEST_P(Together, WithDraftsLookedUp) {
  NgramDrafter drafter(3);
  expect_as_chapter_1(make_requests(device == Device::simt ? 4 : 40), drafter);
}

TEST_P(Together, WithADraftModel) {
  if (device == Device::simt) GTEST_SKIP() << "slow; nothing of it depends on the device";
  // The same weights in bf16: right most of the time.
  const auto draft_model = tiny_transformer(tiny_config("llama"), 3, DType::bf16, device);
  const int64_t context = draft_model->config().context_length;
  ContiguousKvCache memory(draft_model->config(), context, 40, DType::bf16, device);
  ModelDrafter drafter(*draft_model, memory, draft_model->ops().attend, 5 * context, 5, 1);
  expect_as_chapter_1(make_requests(40), drafter);
}

INSTANTIATE_TEST_SUITE_P(Devices, Together, testing::Values(Device::cpu, Device::simt, Device::cuda),
                         [](const auto& test) { return std::string(name_of(test.param)); });

}  // namespace
}  // namespace llm
