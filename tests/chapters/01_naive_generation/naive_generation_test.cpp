#include "chapters/01_naive_generation/naive_generation.h"

#include <gtest/gtest.h>

#include <vector>

#include "chapters/01_naive_generation/forgetful_memory.h"
#include "tests/support/tiny_model.h"

namespace llm {
namespace {

using Ids = std::vector<int32_t>;

GenerationParams to_the_end(int max_tokens) { return {.max_tokens = max_tokens, .ignore_eos = true, .sampling = {}}; }

// The logits after `ids`, [vocab_size], from a pass of its own.
std::vector<float> logits_after(const Transformer& model, const Ids& ids) {
  const auto n = static_cast<int64_t>(ids.size());
  ForgetfulMemory memory(model.config(), n, 1, model.dtype());
  Batch batch(n, 1);
  batch.add(0, ids, 0, LogitRows::last);
  EXPECT_TRUE(memory.begin_step(batch));
  Workspace workspace;
  std::vector<float> logits(static_cast<size_t>(model.config().vocab_size));
  const TensorView view{logits.data(), {1, model.config().vocab_size}, DType::f32, Device::cpu};
  model.forward(batch, memory, model.ops().attend, workspace, view);
  return logits;
}

TEST(NaiveGeneration, CountsItsPasses) {
  EXPECT_EQ(count_naive_passes(2, 100), 5150);
  EXPECT_EQ(count_naive_passes(512, 64), 34784);
  EXPECT_EQ(count_naive_passes(1, 1), 1);
  EXPECT_EQ(count_naive_passes(1, 4), 1 + 2 + 3 + 4);
  EXPECT_EQ(count_naive_passes(5, 3), 5 + 6 + 7);
  EXPECT_EQ(count_naive_passes(5, 0), 0);
  EXPECT_EQ(count_naive_passes(100000, 100000), 14999950000) << "in 64 bits";
}

TEST(NaiveGeneration, PassesAreAsManyAsCounted) {
  ModelConfig config = tiny_config("llama");
  config.context_length = 128;
  const auto model = tiny_transformer(config, 1);
  const Generation generation = generate_naive(*model, {7, 8}, to_the_end(100));
  EXPECT_EQ(generation.token_ids().size(), 100u);
  EXPECT_EQ(generation.token_passes(), 5150);
}

TEST(NaiveGeneration, EveryTokenIsTheArgmaxAfterAllBeforeIt) {
  for (const std::string& family : tiny_families()) {
    const auto model = tiny_transformer(tiny_config(family), 2);
    const Generation generation = generate_naive(*model, {3, 1, 4, 1, 5}, to_the_end(12));
    Ids all = {3, 1, 4, 1, 5};
    for (size_t i = 0; i < 12; ++i) {
      const std::vector<float> logits = logits_after(*model, all);
      EXPECT_EQ(generation.token_ids()[i], argmax(logits)) << family << ", token " << i;
      EXPECT_EQ(generation.top_gaps()[i], top_gap(logits));
      all.push_back(argmax(logits));
    }
    EXPECT_EQ(generation.all(), all);
    EXPECT_EQ(generation.prompt(), (Ids{3, 1, 4, 1, 5}));
    EXPECT_EQ(generation.finish_reason(), FinishReason::length);
  }
}

TEST(NaiveGeneration, TokensAreShownAsTheyCome) {
  const auto model = tiny_transformer(tiny_config("qwen3"), 3);
  Ids shown;
  const Generation generation = generate_naive(*model, {9}, to_the_end(10), [&](int32_t id) { shown.push_back(id); });
  EXPECT_EQ(shown, generation.token_ids());
}

TEST(NaiveGeneration, StopsAtTheEndOfTextToken) {
  ModelConfig config = tiny_config("llama");
  const Ids whole = generate_naive(*tiny_transformer(config, 4), {5, 6}, to_the_end(20)).token_ids();
  const int32_t eos = whole[6];
  const auto first = std::find(whole.begin(), whole.end(), eos);
  config.eos_token_ids = {130, eos};
  const auto model = tiny_transformer(config, 4);
  const Generation stopped = generate_naive(*model, {5, 6}, {.max_tokens = 20, .ignore_eos = false, .sampling = {}});
  EXPECT_EQ(stopped.token_ids(), Ids(whole.begin(), first + 1)) << "the end-of-text token is the last";
  EXPECT_EQ(stopped.finish_reason(), FinishReason::stop);
  EXPECT_EQ(generate_naive(*model, {5, 6}, to_the_end(20)).token_ids(), whole);
}

TEST(NaiveGeneration, EndsWhereTheContextIsFull) {
  const ModelConfig config = tiny_config("qwen2");
  const auto model = tiny_transformer(config, 5);
  for (const int64_t prompt_len : {int64_t{1}, int64_t{31}, int64_t{config.context_length} - 1}) {
    std::mt19937_64 random(6);
    const Ids prompt = random_ids(random, prompt_len, config.vocab_size);
    const Generation generation = generate_naive(*model, prompt, to_the_end(1000));
    EXPECT_EQ(generation.finish_reason(), FinishReason::context);
    EXPECT_EQ(static_cast<int>(generation.all().size()), config.context_length);
    EXPECT_EQ(generation.token_passes(), count_naive_passes(prompt_len, config.context_length - prompt_len));
  }
}

TEST(NaiveGeneration, SamplesWithItsSeed) {
  const auto model = tiny_transformer(tiny_config("llama"), 7);
  const auto tokens_of = [&](uint64_t seed) {
    const SamplingParams sampling{.temperature = 2.0, .top_k = 50, .top_p = 0.99, .min_p = 0.001, .seed = seed};
    return generate_naive(*model, {1}, {.max_tokens = 20, .ignore_eos = true, .sampling = sampling}).token_ids();
  };
  EXPECT_EQ(tokens_of(1), tokens_of(1));
  EXPECT_NE(tokens_of(1), tokens_of(2));
}

}  // namespace
}  // namespace llm
