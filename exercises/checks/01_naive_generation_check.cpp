#include "exercises/01_naive_generation.h"

#include <random>

#include "chapters/01_naive_generation/naive_generation.h"
#include "common/ops/sample.h"
#include "exercises/checks/check.h"
#include "tests/support/logits.h"
#include "tests/support/tiny_model.h"

namespace llm {
namespace {

using Ids = std::vector<int32_t>;

struct Chapter1 : testing::Test {
  static ModelConfig config() {
    ModelConfig config = tiny_config("llama");
    config.context_length = 100;
    return config;
  }
  Generation run(int64_t prompt, int generated) const {
    std::mt19937_64 random(static_cast<uint64_t>(prompt));
    return generate_naive(*model, random_ids(random, prompt, model->config().vocab_size),
                          {.max_tokens = generated, .ignore_eos = true, .sampling = {}});
  }

  std::shared_ptr<const Transformer> model = tiny_transformer(config(), 1);
};

TEST_F(Chapter1, Exercise1) {
  const Generation generation = run(30, 20);
  expect_prediction("kTokenPasses", exercises::kTokenPasses, generation.token_passes(),
                    "the tokens that chapter 1 passes through the model when it runs are");
  expect_prediction("kTokenPassesNeeded", exercises::kTokenPassesNeeded, std::ssize(generation.all()) - 1,
                    "those that it feeds at least once are");
}

TEST_F(Chapter1, Exercise2) {
  for (const int64_t prompt : {1, 2, 7, 31}) {
    for (const int generated : {1, 2, 3, 17}) {
      ASSERT_ANSWER(exercises::count_token_passes(prompt, generated), run(prompt, generated).token_passes())
          << "Prompt " << prompt << ", generated " << generated << ", as chapter 1 counts when it runs.";
    }
  }
}

TEST_F(Chapter1, Exercise3) {
  // Not a model, but as certain of itself: any function of all tokens will do. Token 9 comes once in 11.
  size_t longest = 0, calls = 0;
  const exercises::NextToken next_token = [&](std::span<const int32_t> tokens) {
    longest = tokens.size();
    ++calls;
    int32_t sum = 7;
    for (const int32_t token : tokens) sum = (3 * sum + token + 1) % 11;
    return sum;
  };
  for (int32_t first = 0; first < 30; ++first) {
    for (const int max_tokens : {1, 2, 5, 40}) {
      const Ids prompt = {first, 4, 1};
      Ids expected, all = prompt;
      while (std::ssize(expected) < max_tokens && (expected.empty() || expected.back() != 9)) {
        expected.push_back(next_token(all));
        all.push_back(expected.back());
      }
      calls = 0;
      ASSERT_ANSWER(exercises::generate(next_token, prompt, max_tokens, 9), expected)
          << "The prompt is {" << first << ", 4, 1}, max_tokens " << max_tokens << ", end_of_text 9.";
      ASSERT_ANSWER(longest, all.size() - 1)
          << "Tokens that the model is shown for the last one: the prompt and all that came after it.";
      ASSERT_ANSWER(calls, expected.size()) << "How often the model is asked: once for each token.";
    }
  }
  const Generation generation = run(5, 12);
  const exercises::NextToken by_model = [&](std::span<const int32_t> tokens) {
    ForgetfulMemory memory(model->config(), std::ssize(tokens), 1, DType::f32);
    Batch batch(std::ssize(tokens), 1);
    batch.add(0, tokens, 0, LogitRows::last);
    return argmax(forward(*model, memory, batch).front());
  };
  ASSERT_ANSWER(exercises::generate(by_model, generation.prompt(), 12, -1), generation.token_ids())
      << "With a real model your loop is to say what chapter 1 says.";
}

TEST_F(Chapter1, Exercise4) {
  std::mt19937_64 random(1);
  for (const size_t vocab_size : {1, 2, 3, 31, 65}) {
    for (const double top_p : {0.001, 0.3, 0.5, 0.9, 0.999}) {
      std::vector<float> logits(vocab_size);
      for (float& logit : logits) logit = static_cast<float>(random() % 100'000) * 5e-5f;
      const std::vector<double> probabilities = token_distribution(logits, {.temperature = 1.0}),
                                expected = token_distribution(logits, {.temperature = 1.0, .top_p = top_p}),
                                kept = exercises::keep_top_p(probabilities, top_p);
      ASSERT_ANSWER(kept.size(), vocab_size) << "Numbers in the result: one for each token, those not kept too.";
      for (size_t id = 0; id < vocab_size; ++id) {
        ASSERT_NEAR_ANSWER(kept[id], expected[id], 1e-9)
            << "Token " << id << " of " << vocab_size << ", with probability " << probabilities[id] << ", for top_p "
            << top_p << ".";
      }
    }
  }
  const std::vector<double> alike(4, 0.25);
  ASSERT_ANSWER(exercises::keep_top_p(alike, 0.5), (std::vector<double>{0.5, 0.5, 0.0, 0.0}))
      << "Of four tokens that are equally likely the first two reach 0.5.";
}

}  // namespace
}  // namespace llm
