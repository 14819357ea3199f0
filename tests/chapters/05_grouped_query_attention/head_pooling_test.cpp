#include "chapters/05_grouped_query_attention/head_pooling.h"

#include <cmath>

#include "chapters/05_grouped_query_attention/pooled_weights.h"
#include "tests/common/ops/ops_testing.h"
#include "tests/support/expect_close.h"
#include "tests/support/logits.h"
#include "tests/support/sentence_of.h"
#include "tests/support/tiny_model.h"

namespace llm {
namespace {

Tensor tensor_of(Shape shape, const std::vector<float>& values, DType dtype = DType::f32) {
  const Tensor tensor(shape, dtype);
  for (size_t i = 0; i < values.size(); ++i) set(tensor, static_cast<int64_t>(i), values[i]);
  return tensor;
}

std::vector<double> pool(const Tensor& heads, int from, int to, Pooling pooling, const std::string& seed = "name") {
  return to_doubles(pool_heads(heads, from, to, pooling, seed));
}

// The page's example: four heads of head_dim 2 over a hidden size of 1.
TEST(PoolHeads, WorkedExample) {
  const Tensor heads = tensor_of({8, 1}, {1, 0, 3, 4, 2, 2, 0, -6});
  EXPECT_EQ(pool(heads, 4, 2, Pooling::mean), (std::vector<double>{2, 2, 1, -2}));
  EXPECT_EQ(pool(heads, 4, 1, Pooling::mean), (std::vector<double>{1.5, 0}));
  EXPECT_EQ(pool(heads, 4, 2, Pooling::first), (std::vector<double>{1, 0, 2, 2}));
  EXPECT_EQ(pool(heads, 4, 4, Pooling::mean), (std::vector<double>{1, 0, 3, 4, 2, 2, 0, -6}));
}

TEST(PoolHeads, KeepsRankAndDtypeAndRoundsOnce) {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
    const Tensor bias = tensor_of({3}, {1, 2, 4}, dtype);
    const Tensor pooled = pool_heads(bias, 3, 1, Pooling::mean, "name");
    EXPECT_EQ(pooled.view().shape, Shape{1});
    EXPECT_EQ(pooled.view().dtype, dtype);
    const Tensor expected = tensor_of({1}, {static_cast<float>(7.0 / 3.0)}, dtype);
    EXPECT_EQ(to_doubles(pooled), to_doubles(expected));
    EXPECT_EQ(pool_heads(tensor_of({6, 5}, std::vector<float>(30, 1), dtype), 3, 1, Pooling::mean, "").view().shape,
              (Shape{2, 5}));
  }
}

// 0.1 has no exact sum with itself in f32, but its mean is 0.1.
TEST(PoolHeads, EqualMembersLoseNothing) {
  for (const int group : {1, 2, 3, 7, 32, 71}) {
    const Tensor one = tensor_of({2, 2}, {0.1f, -3.3e-7f, 1e9f, 0.7f});
    for (const Pooling pooling : {Pooling::mean, Pooling::first}) {
      const Tensor many = pool_heads(one, 1, group, pooling, "");
      EXPECT_EQ(many.view().dim(0), 2 * group);
      EXPECT_EQ(pool(many, group, 1, pooling), to_doubles(one)) << group;
    }
  }
}

TEST(PoolHeads, MoreHeadsAreRepeated) {
  const Tensor heads = tensor_of({2, 1}, {1, 2});
  for (const Pooling pooling : {Pooling::mean, Pooling::first, Pooling::random}) {
    EXPECT_EQ(pool(heads, 2, 6, pooling), (std::vector<double>{1, 1, 1, 2, 2, 2}));
  }
}

TEST(PoolHeads, RandomOnesAreAsLargeAndDependOnTheName) {
  const Tensor heads = random_tensor({64, 33}, 3);
  const auto mean_square = [](const std::vector<double>& values) {
    double sum = 0.0;
    for (const double value : values) sum += value * value;
    return sum / static_cast<double>(values.size());
  };
  const std::vector<double> a = pool(heads, 8, 4, Pooling::random, "a"), b = pool(heads, 8, 4, Pooling::random, "b");
  EXPECT_NEAR(mean_square(a) / mean_square(to_doubles(heads)), 1.0, 0.1);
  EXPECT_EQ(a, pool(heads, 8, 4, Pooling::random, "a"));
  EXPECT_NE(a, b);
  EXPECT_EQ(pool(heads, 8, 8, Pooling::random), to_doubles(heads)) << "nothing is to be pooled";
}

TEST(WithKvHeads, AnyNumberThatDivides) {
  ModelConfig config = tiny_config("llama");
  config.num_heads = config.num_kv_heads = 12;
  EXPECT_EQ(possible_kv_heads(config), (std::vector<int>{1, 2, 3, 4, 6, 12}));
  EXPECT_EQ(with_kv_heads(config, 4).num_kv_heads, 4);
  config.num_kv_heads = 4;
  EXPECT_EQ(possible_kv_heads(config), (std::vector<int>{1, 2, 4, 12}));
  EXPECT_SENTENCE(with_kv_heads(config, 5),
                  "--kv-heads is 5, but tiny-llama has 12 heads and 4 KV heads; give one of 1, 2, 4, 12");
}

// In memory, for every family: as many heads as there were give the same bits, and so do repeated heads, of which
// pooling makes the old ones again.
TEST(PooledWeights, BothEndsOfEveryFamily) {
  for (const std::string& family : tiny_families()) {
    const ModelConfig config = tiny_config(family);
    SeededWeights weights(5);
    std::mt19937_64 random(1);
    const std::vector<int32_t> ids = random_ids(random, 9, config.vocab_size);
    const Rows expected = naive_logits(Transformer(config, weights, DType::f32), ids);
    const auto expect_same = [&](WeightSource& source, int kv_heads) {
      const Rows rows = naive_logits(Transformer(with_kv_heads(config, kv_heads), source, DType::f32), ids);
      for (size_t i = 0; i < rows.size(); ++i) EXPECT_TRUE(same_bits(rows[i], expected[i])) << family << ", row " << i;
    };
    PooledWeights same(weights, config, config.num_kv_heads, Pooling::mean);
    expect_same(same, config.num_kv_heads);
    PooledWeights repeated(weights, config, config.num_heads, Pooling::mean);
    expect_same(repeated, config.num_heads);
    PooledWeights back(repeated, with_kv_heads(config, config.num_heads), config.num_kv_heads, Pooling::mean);
    expect_same(back, config.num_kv_heads);
  }
}

}  // namespace
}  // namespace llm
