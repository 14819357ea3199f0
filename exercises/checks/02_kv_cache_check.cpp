#include "exercises/02_kv_cache.h"

#include <random>

#include "chapters/02_kv_cache/contiguous_kv_cache.h"
#include "common/model/random_weights.h"
#include "exercises/checks/check.h"
#include "tests/support/logits.h"
#include "tests/support/tiny_model.h"

namespace llm {
namespace {

TEST(Chapter2, Exercise1) {
  ModelConfig config;
  config.num_layers = 24;
  config.num_heads = 16;
  config.num_kv_heads = 2;
  config.head_dim = 64;
  constexpr int64_t kTokens = 10;
  const auto nbytes = static_cast<int64_t>(ContiguousKvCache(config, kTokens, 1, DType::bf16).nbytes());
  expect_prediction("kKvBytesPerToken", exercises::kKvBytesPerToken, nbytes / kTokens,
                    "chapter 2's cache takes for each token");
  expect_prediction("kTokensInAGigabyte", exercises::kTokensInAGigabyte, 1'000'000'000 / (nbytes / kTokens),
                    "of what chapter 2's cache takes for each there fit");
}

// Position 5 goes to position 4's slot.
struct LosesACard : ContiguousKvCache {
  using ContiguousKvCache::ContiguousKvCache;

  bool begin_step(const Batch& batch) override {
    const bool done = ContiguousKvCache::begin_step(batch);
    slots.clear();
    for (int64_t i = 0; i < batch.num_tokens(); ++i) {
      const int32_t slot = ContiguousKvCache::layer(0).slots.as<int32_t>()[i];
      slots.push_back(batch.positions.view().as<int32_t>()[i] == 5 ? slot - 1 : slot);
    }
    return done;
  }
  KvView layer(int layer) override {
    KvView view = ContiguousKvCache::layer(layer);
    view.slots = {slots.data(), {std::ssize(slots)}, DType::i32, Device::cpu};
    return view;
  }

  std::vector<int32_t> slots;
};

TEST(Chapter2, Exercise2) {
  const std::shared_ptr<const Transformer> model = tiny_transformer(tiny_config("llama"), 1);
  const Rows expected = naive_logits(*model, {5, 6, 7, 8, 9, 10, 11, 12, 13});
  LosesACard cache(model->config(), 20, 1, DType::f32);
  std::vector<int32_t> tokens = {5, 6};
  int first_wrong = -1;
  for (int generated = 0; first_wrong < 0 && generated < 8; ++generated) {
    Batch batch(20, 1);
    batch.add(0, tokens, cache.length(0), LogitRows::last);
    const std::vector<float> logits = forward(*model, cache, batch).front();
    if (!same_bits(logits, expected[static_cast<size_t>(generated) + 1])) first_wrong = generated;
    tokens = {7 + generated};
  }
  expect_prediction("kFirstWrongToken", exercises::kFirstWrongToken, first_wrong,
                    "with such a cache the first logits that are not chapter 1's are those of token");
}

TEST(Chapter2, Exercise3) {
  const ModelConfig config = random_shape("llama-3-8b");
  expect_prediction("kTokensAsHeavyAsTheWeights", exercises::kTokensAsHeavyAsTheWeights,
                    2 * config.num_parameters() / config.kv_bytes_per_token(2), "by chapter 2's figures it is", 0.01);
}

TEST(Chapter2, Exercise4) {
  std::mt19937_64 random(1);
  std::normal_distribution<float> numbers(0.0f, 2.0f);
  for (const size_t head_dim : {1, 2, 33, 64}) {
    exercises::HeadCache cache;
    std::vector<float> keys, values;
    for (size_t num_tokens = 1; num_tokens <= 65; ++num_tokens) {
      std::vector<float> q(head_dim), k(head_dim), v(head_dim);
      for (std::vector<float>* row : {&q, &k, &v}) {
        for (float& number : *row) number = numbers(random);
      }
      keys.insert(keys.end(), k.begin(), k.end());
      values.insert(values.end(), v.begin(), v.end());
      std::vector<double> expected(head_dim);
      double sum = 0.0;
      for (size_t token = 0; token < num_tokens; ++token) {
        double score = 0.0;
        for (size_t d = 0; d < head_dim; ++d) score += double{q[d]} * keys[token * head_dim + d];
        const double weight = std::exp(score / std::sqrt(static_cast<double>(head_dim)));
        sum += weight;
        for (size_t d = 0; d < head_dim; ++d) expected[d] += weight * values[token * head_dim + d];
      }
      const std::vector<float> out = exercises::attend_next(q, k, v, cache);
      ASSERT_ANSWER(cache.keys, keys) << "Keys in the cache after token " << num_tokens - 1 << ".";
      ASSERT_ANSWER(cache.values, values) << "Values in the cache after token " << num_tokens - 1 << ".";
      ASSERT_ANSWER(out.size(), head_dim) << "Numbers in the output: head_dim.";
      for (size_t d = 0; d < head_dim; ++d) {
        ASSERT_NEAR_ANSWER(out[d], expected[d] / sum, 1e-4)
            << "Number " << d << " of " << head_dim << " of token " << num_tokens - 1 << "'s output.";
      }
    }
  }
  // Large scores: exp(200) is no float.
  exercises::HeadCache cache;
  exercises::attend_next(std::vector{1.0f}, std::vector{200.0f}, std::vector{3.0f}, cache);
  const std::vector<float> out =
      exercises::attend_next(std::vector{1.0f}, std::vector{200.0f}, std::vector{5.0f}, cache);
  ASSERT_NEAR_ANSWER(out.at(0), 4.0f, 1e-6f) << "Two keys with the same score, 200: subtract the largest score first.";
}

}  // namespace
}  // namespace llm
