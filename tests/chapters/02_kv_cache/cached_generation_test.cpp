#include "chapters/02_kv_cache/cached_generation.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <vector>

#include "chapters/01_naive_generation/naive_generation.h"
#include "chapters/02_kv_cache/contiguous_kv_cache.h"
#include "common/program/same_output.h"
#include "tests/support/gpu_device.h"
#include "tests/support/tiny_model.h"

namespace llm {
namespace {

using Ids = std::vector<int32_t>;

Generation generate_with_cache(const Transformer& model, const Ids& prompt, const GenerationParams& params,
                               const OnToken& on_token = {}) {
  ContiguousKvCache cache(model.config(), model.config().context_length, 1, model.dtype(), model.device());
  return generate_cached(model, cache, model.ops().attend, prompt, params, on_token);
}

TEST(CachedGeneration, CountsItsPasses) {
  EXPECT_EQ(count_cached_passes(2, 100), 101);
  EXPECT_EQ(count_cached_passes(1, 1), 1);
  EXPECT_EQ(count_cached_passes(7, 1), 7);
  EXPECT_EQ(count_cached_passes(7, 5), 11);
}

TEST(CachedGeneration, PassesAreAsManyAsCounted) {
  ModelConfig config = tiny_config("llama");
  config.context_length = 128;
  const auto model = tiny_transformer(config, 1);
  ContiguousKvCache cache(config, 102, 1, DType::f32);
  const GenerationParams params{.max_tokens = 100, .ignore_eos = true, .sampling = {}};
  const Generation generation = generate_cached(*model, cache, model->ops().attend, {7, 8}, params);
  EXPECT_EQ(generation.token_ids().size(), 100u);
  EXPECT_EQ(generation.token_passes(), 101);
  EXPECT_EQ(cache.length(0), 101) << "all but the last generated token";
}

TEST(CachedGeneration, TokensAreShownAsTheyCome) {
  const auto model = tiny_transformer(tiny_config("qwen3"), 3);
  Ids shown;
  const GenerationParams params{.max_tokens = 10, .ignore_eos = true, .sampling = {}};
  const Generation generation = generate_with_cache(*model, {9}, params, [&](int32_t id) { shown.push_back(id); });
  EXPECT_EQ(shown, generation.token_ids());
}

TEST(CachedGeneration, ACacheThatIsTooSmallIsAFaultOfOurs) {
  const auto model = tiny_transformer(tiny_config("llama"), 3);
  ContiguousKvCache cache(model->config(), 5, 1, DType::f32);
  const GenerationParams params{.max_tokens = 10, .ignore_eos = true, .sampling = {}};
  EXPECT_THROW(generate_cached(*model, cache, model->ops().attend, {9}, params), std::logic_error);
}

// A prompt of each kind: lengths from one token to all but one of the context, greedy and sampled, ended by the length,
// by the context, or by a token that ends the text.
struct Case {
  Ids prompt;
  GenerationParams params;
};

std::vector<Case> make_cases(const ModelConfig& config, int count) {
  std::mt19937_64 random(seed_of(config.name, 77));
  std::vector<Case> cases;
  const int64_t longest = config.context_length - 1;
  for (int i = 0; i < count; ++i) {
    const int64_t lengths[] = {1, 2, 5, 17, 31, 33, longest};
    Case c;
    c.prompt = random_ids(random, lengths[i % 7], config.vocab_size);
    c.params.max_tokens = i % 3 == 0 ? 1000 : 1 + static_cast<int>(random() % 20);  // 1000: until the context is full
    c.params.ignore_eos = i % 4 != 0;
    if (i % 2 == 1)
      c.params.sampling = {.temperature = 1.5, .top_k = 40, .top_p = 0.95, .min_p = 0.01, .seed = random()};
    cases.push_back(c);
  }
  return cases;
}

// Token for token, and in each token's lead over the next, to the last bit: 24 prompts for each of three families in
// two number formats, chapter 2 with one to three threads against chapter 1 with one.
TEST(CachedGeneration, SaysWhatChapter1Says) {
  int reached_context = 0, stopped = 0;
  for (const std::string& family : tiny_families()) {
    ModelConfig config = tiny_config(family);
    config.eos_token_ids.clear();
    for (int32_t id = 0; id < config.vocab_size; id += 12) config.eos_token_ids.push_back(id);
    for (const DType dtype : {DType::f32, DType::bf16}) {
      const auto model = tiny_transformer(config, 10, dtype);
      int number = 0;
      for (const Case& c : make_cases(config, 24)) {
        omp_set_num_threads(1);
        const Generation naive = generate_naive(*model, c.prompt, c.params);
        omp_set_num_threads(1 + number % 3);
        const Generation cached = generate_with_cache(*model, c.prompt, c.params);
        const std::string where = family + " " + name_of(dtype) + ", prompt " + std::to_string(number++);
        ASSERT_EQ(cached.token_ids(), naive.token_ids()) << where;
        ASSERT_EQ(cached.top_gaps(), naive.top_gaps()) << where;
        ASSERT_EQ(cached.finish_reason(), naive.finish_reason()) << where;
        const auto prompt_len = static_cast<int64_t>(c.prompt.size());
        const auto generated = static_cast<int64_t>(cached.token_ids().size());
        EXPECT_EQ(cached.token_passes(), count_cached_passes(prompt_len, generated));
        EXPECT_EQ(naive.token_passes(), count_naive_passes(prompt_len, generated));
        reached_context += cached.finish_reason() == FinishReason::context;
        stopped += cached.finish_reason() == FinishReason::stop;
      }
    }
  }
  omp_set_num_threads(omp_get_num_procs());
  EXPECT_GT(reached_context, 20) << "else the cases do not test what they should";
  EXPECT_GT(stopped, 5);
}

class GpuGeneration : public testing::TestWithParam<Device> {};

// Both chapters on the device against chapter 1 on the CPU, by the rule for near-ties.
TEST_P(GpuGeneration, SaysWhatTheCpuSays) {
  LLM_SKIP_WITHOUT(GetParam());
  for (const std::string& family : tiny_families()) {
    const ModelConfig config = tiny_config(family);
    const auto on_cpu = tiny_transformer(config, 10), on_gpu = tiny_transformer(config, 10, DType::f32, GetParam());
    for (const Ids& prompt : {Ids{7}, Ids{7, 8, 9, 10, 11}}) {
      const int max_tokens = GetParam() == Device::simt ? 5 : 13;  // the simulator is slow
      const GenerationParams params{.max_tokens = max_tokens, .ignore_eos = true, .sampling = {}};
      const Generation expected = generate_naive(*on_cpu, prompt, params);
      const auto expect_same = [&](const Generation& actual) {
        const Comparison comparison =
            compare_outputs(expected.token_ids(), expected.top_gaps(), actual.token_ids(), near_tie(DType::f32));
        EXPECT_TRUE(comparison.same) << family << ": " << describe(comparison);
      };
      expect_same(generate_naive(*on_gpu, prompt, params));
      expect_same(generate_with_cache(*on_gpu, prompt, params));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, GpuGeneration, testing::Values(Device::simt, Device::cuda),
                         [](const auto& test) { return std::string(name_of(test.param)); });

}  // namespace
}  // namespace llm
