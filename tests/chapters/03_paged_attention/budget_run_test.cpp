#include "chapters/03_paged_attention/budget_run.h"

#include <gtest/gtest.h>

#include "chapters/01_naive_generation/naive_generation.h"
#include "tests/common/ops/ops_testing.h"
#include "tests/support/tiny_model.h"

namespace llm {
namespace {

constexpr int32_t kMaxLength = 40;

GenerationParams length_params(int max_tokens) {
  return {.max_tokens = max_tokens, .ignore_eos = true, .sampling = {}};
}

std::vector<Text> make_requests(const ModelConfig& config, int count) {
  std::mt19937_64 random(3);
  std::vector<Text> requests;
  for (int32_t id = 0; id < count; ++id) {
    const int64_t prompt_len = 1 + static_cast<int64_t>(random() % 9);
    const int max_tokens = 1 + static_cast<int>(random() % static_cast<uint64_t>(kMaxLength - prompt_len));
    requests.push_back(
        {id, Generation(random_ids(random, prompt_len, config.vocab_size), config, length_params(max_tokens))});
  }
  return requests;
}

// Each text is chapter 1's to the last bit, however it was interrupted.
void expect_right(const Transformer& model, const BudgetRun& run, size_t budget) {
  for (const Text& request : run.requests) {
    ASSERT_TRUE(request.generation.finished());
    const auto max_tokens = static_cast<int>(request.generation.token_ids().size());
    const Generation naive = generate_naive(model, request.generation.prompt(), length_params(max_tokens));
    ASSERT_EQ(request.generation.token_ids(), naive.token_ids()) << "request " << request.id;
    ASSERT_EQ(request.generation.top_gaps(), naive.top_gaps()) << "request " << request.id;
  }
  for (const MemoryUse& use : run.steps) {
    ASSERT_LE(use.bytes_used, use.bytes_reserved);
    ASSERT_LE(use.bytes_reserved, budget);
    ASSERT_GE(use.num_sequences, 1);
  }
}

TEST(BudgetRun, TextsAreChapter1sWhateverTheRoom) {
  const Threads one(1);  // the texts are short
  for (const std::string& family : tiny_families()) {
    const auto model = tiny_transformer(tiny_config(family), 8);
    const auto per_token = static_cast<size_t>(model->config().kv_bytes_per_token(4));
    const double held = mean_tokens_held(
        run_contiguous(*model, make_requests(model->config(), 11), 3 * kMaxLength, kMaxLength).requests);
    for (const int64_t num_slots : {64, 80, 200, 2000}) {
      const testing::ScopedTrace trace(__FILE__, __LINE__, fmt::format("{}, {} slots", family, num_slots));
      const BudgetRun contiguous = run_contiguous(*model, make_requests(model->config(), 11), num_slots, kMaxLength);
      expect_right(*model, contiguous, static_cast<size_t>(num_slots) * per_token);
      EXPECT_LE(contiguous.most_at_once(), num_slots / kMaxLength);
      EXPECT_NEAR(contiguous.used_share(), predict_used_share_contiguous(held, kMaxLength), 1e-12)
          << "exact: each text's every step counts once, whatever the order";
      for (const int32_t block_size : {1, 8, 16}) {
        const BudgetRun paged =
            run_paged(*model, make_requests(model->config(), 11), num_slots, kMaxLength, block_size);
        expect_right(*model, paged, static_cast<size_t>(num_slots) * per_token);
        EXPECT_GE(paged.most_at_once(), contiguous.most_at_once());
        EXPECT_NEAR(paged.used_share(), predict_used_share_paged(held, block_size), 0.08);
      }
    }
  }
}

TEST(BudgetRun, TheYoungestYields) {
  const auto model = tiny_transformer(tiny_config("llama"), 8);
  const BudgetRun tight = run_paged(*model, make_requests(model->config(), 11), kMaxLength, kMaxLength, 1);
  EXPECT_GT(tight.num_preemptions, 0) << "else nobody was asked to";
  expect_right(*model, tight, SIZE_MAX);
  const BudgetRun ample = run_paged(*model, make_requests(model->config(), 11), 2000, kMaxLength, 1);
  EXPECT_EQ(ample.num_preemptions, 0);
  EXPECT_LT(ample.steps.size(), tight.steps.size());
}

TEST(BudgetRun, ABudgetTooSmallIsAFaultOfOurs) {
  const auto model = tiny_transformer(tiny_config("llama"), 8);
  EXPECT_THROW(run_contiguous(*model, make_requests(model->config(), 3), kMaxLength - 1, kMaxLength), std::logic_error);
  EXPECT_THROW(run_paged(*model, make_requests(model->config(), 9), 16, kMaxLength, 16), std::logic_error);
}

TEST(BudgetRun, PeakAndMeans) {
  BudgetRun run;
  run.steps = {{1, true, 100, 30}, {3, true, 300, 100}, {3, false, 300, 200}, {2, false, 200, 190}};
  EXPECT_EQ(run.peak().bytes_reserved, 300u);
  EXPECT_EQ(run.peak().bytes_used, 200u);
  EXPECT_EQ(run.most_at_once(), 3);
  EXPECT_DOUBLE_EQ(run.mean_at_once(), 2.0) << "while others wait";
  EXPECT_DOUBLE_EQ(run.used_share(), 520.0 / 900.0);
}

TEST(BudgetRun, Predictions) {
  // Prompt 5 and 3 tokens hold 5, 6, 7 in their steps; prompt 2 and 1 token hold 2.
  ModelConfig config = tiny_config("llama");
  const Tensor logits({1, config.vocab_size}, DType::f32);
  std::fill_n(logits.view().as<float>(), config.vocab_size, 0.0f);
  std::vector<Text> requests;
  requests.push_back({0, Generation({1, 2, 3, 4, 5}, config, length_params(3))});
  requests.push_back({1, Generation({1, 2}, config, length_params(1))});
  for (int i = 0; i < 3; ++i) requests[0].generation.sample(logits, 1);
  requests[1].generation.sample(logits, 1);
  EXPECT_DOUBLE_EQ(mean_tokens_held(requests), 5.0);
  EXPECT_DOUBLE_EQ(predict_used_share_contiguous(5.0, 20), 0.25);
  EXPECT_DOUBLE_EQ(predict_used_share_paged(5.0, 1), 1.0);
  EXPECT_DOUBLE_EQ(predict_used_share_paged(7.5, 16), 0.5);
}

}  // namespace
}  // namespace llm
