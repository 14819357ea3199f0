#include "common/program/generation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <thread>

namespace llm {
namespace {

using Ids = std::vector<int32_t>;

ModelConfig config_of(int context_length, const Ids& eos_token_ids) {
  ModelConfig config;
  config.vocab_size = 5;
  config.context_length = context_length;
  config.eos_token_ids = eos_token_ids;
  return config;
}

Tensor row_of(const std::vector<float>& logits) {
  const Tensor row({1, static_cast<int64_t>(logits.size())}, DType::f32);
  std::copy(logits.begin(), logits.end(), row.view().as<float>());
  return row;
}

// Logits whose largest is at `token`, by 3.
Tensor wanting(int32_t token) {
  std::vector<float> logits(5, -1.0f);
  logits[static_cast<size_t>(token)] = 2.0f;
  return row_of(logits);
}

TEST(Generation, RecordsTokensGapsAndPasses) {
  Generation generation({4, 4}, config_of(100, {}), {.max_tokens = 10, .ignore_eos = false, .sampling = {}});
  EXPECT_FALSE(generation.finished());
  EXPECT_EQ(generation.finish_reason(), FinishReason::none);
  EXPECT_EQ(generation.ttft_ms(), 0.0);
  EXPECT_EQ(generation.sample(wanting(3), 2), 3);
  EXPECT_TRUE(std::isnan(generation.tokens_per_second())) << "nothing came after the first";
  EXPECT_EQ(generation.sample(row_of({0, 1.5f, 1, -9, -9}), 3), 1);
  EXPECT_EQ(generation.prompt(), (Ids{4, 4}));
  EXPECT_EQ(generation.token_ids(), (Ids{3, 1}));
  EXPECT_EQ(generation.all(), (Ids{4, 4, 3, 1}));
  EXPECT_EQ(generation.top_gaps(), (std::vector<float>{3.0f, 0.5f}));
  EXPECT_EQ(generation.token_passes(), 5);
}

TEST(Generation, StopsAtAnyEndOfTextToken) {
  for (const int32_t eos : {2, 4}) {
    Generation generation({1}, config_of(100, {2, 4}), {.max_tokens = 10, .ignore_eos = false, .sampling = {}});
    generation.sample(wanting(3), 1);
    EXPECT_FALSE(generation.finished());
    generation.sample(wanting(eos), 1);
    EXPECT_TRUE(generation.finished());
    EXPECT_EQ(generation.finish_reason(), FinishReason::stop);
    EXPECT_EQ(generation.token_ids(), (Ids{3, eos}));
  }
}

TEST(Generation, AnEndOfTextTokenInThePromptDoesNotStop) {
  Generation generation({2}, config_of(100, {2}), {.max_tokens = 10, .ignore_eos = false, .sampling = {}});
  generation.sample(wanting(3), 1);
  EXPECT_FALSE(generation.finished());
}

TEST(Generation, IgnoresTheEndOfTextTokenWhenAsked) {
  Generation generation({1}, config_of(100, {2}), {.max_tokens = 3, .ignore_eos = true, .sampling = {}});
  generation.sample(wanting(2), 1);
  EXPECT_FALSE(generation.finished());
  generation.sample(wanting(2), 1);
  generation.sample(wanting(2), 1);
  EXPECT_EQ(generation.finish_reason(), FinishReason::length);
}

TEST(Generation, EndsAfterMaxTokensOrWhenTheContextIsFull) {
  Generation shortest({1, 1, 1}, config_of(100, {}), {.max_tokens = 1, .ignore_eos = false, .sampling = {}});
  shortest.sample(wanting(0), 3);
  EXPECT_EQ(shortest.finish_reason(), FinishReason::length);

  Generation full({1, 1, 1}, config_of(5, {}), {.max_tokens = 10, .ignore_eos = false, .sampling = {}});
  full.sample(wanting(0), 3);
  EXPECT_FALSE(full.finished());
  full.sample(wanting(0), 1);
  EXPECT_EQ(full.finish_reason(), FinishReason::context);
  EXPECT_EQ(full.all().size(), 5u);
}

// Where several reasons hold, the first in this order is named: stop, length, context.
TEST(Generation, ReasonsHaveAnOrder) {
  Generation generation({1, 1, 1}, config_of(4, {2}), {.max_tokens = 1, .ignore_eos = false, .sampling = {}});
  generation.sample(wanting(2), 3);
  EXPECT_EQ(generation.finish_reason(), FinishReason::stop);
  Generation other({1, 1, 1}, config_of(4, {2}), {.max_tokens = 1, .ignore_eos = false, .sampling = {}});
  other.sample(wanting(0), 3);
  EXPECT_EQ(other.finish_reason(), FinishReason::length);
  EXPECT_STREQ(name_of(FinishReason::stop), "stop");
  EXPECT_STREQ(name_of(FinishReason::length), "length");
  EXPECT_STREQ(name_of(FinishReason::context), "context");
}

TEST(Generation, TimesAreSinceTheLastToken) {
  using namespace std::chrono_literals;
  Generation generation({1}, config_of(100, {}), {.max_tokens = 10, .ignore_eos = false, .sampling = {}});
  std::this_thread::sleep_for(60ms);
  generation.sample(wanting(0), 1);
  for (int i = 0; i < 2; ++i) {
    std::this_thread::sleep_for(20ms);
    generation.sample(wanting(0), 1);
  }
  ASSERT_EQ(generation.step_ms().size(), 3u);
  EXPECT_GE(generation.ttft_ms(), 60.0);
  EXPECT_EQ(generation.ttft_ms(), generation.step_ms()[0]);
  EXPECT_GE(generation.step_ms()[1], 20.0);
  // Two tokens after the first, in the time that those two took.
  const double seconds = (generation.step_ms()[1] + generation.step_ms()[2]) / 1000.0;
  EXPECT_NEAR(generation.tokens_per_second(), 2.0 / seconds, 1e-9);
}

TEST(Generation, SamplesWithItsParameters) {
  const auto tokens_of = [](uint64_t seed) {
    const SamplingParams sampling{.temperature = 1.0, .top_k = 2, .seed = seed};
    Generation generation({1}, config_of(100, {}), {.max_tokens = 50, .ignore_eos = false, .sampling = sampling});
    while (!generation.finished()) generation.sample(row_of({1, 0, 1, 0, 0}), 1);
    return generation.token_ids();
  };
  const Ids tokens = tokens_of(3);
  Sampler sampler({.temperature = 1.0, .top_k = 2, .seed = 3});
  for (const int32_t token : tokens) EXPECT_EQ(token, sampler.sample(row_of({1, 0, 1, 0, 0})).id);
  EXPECT_GT(std::count(tokens.begin(), tokens.end(), 0), 5);
  EXPECT_GT(std::count(tokens.begin(), tokens.end(), 2), 5);
  EXPECT_NE(tokens, tokens_of(4));
}

}  // namespace
}  // namespace llm
