#include "chapters/01_naive_generation/perplexity.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "tests/support/expect_close.h"
#include "tests/support/tiny_model.h"

namespace llm {
namespace {

using Ids = std::vector<int32_t>;
using Vector = std::vector<double>;

TEST(SplitDocuments, BetweenLinesOfTheSeparator) {
  using Parts = std::vector<std::string_view>;
  EXPECT_EQ(split_documents("one"), Parts{"one"});
  EXPECT_EQ(split_documents("one\ntwo\n"), Parts{"one\ntwo"});
  EXPECT_EQ(split_documents("a\nb\n<|endoftext|>\nc\n"), (Parts{"a\nb", "c"}));
  EXPECT_EQ(split_documents("a\n<|endoftext|>\n\n\nb\n\nc\n\n<|endoftext|>"), (Parts{"a", "b\n\nc"}));
  EXPECT_EQ(split_documents("<|endoftext|>\na\n<|endoftext|>\n<|endoftext|>\nb"), (Parts{"a", "b"}));
  EXPECT_EQ(split_documents("say <|endoftext|> aloud\n <|endoftext|>\n<|endoftext|>!"),
            Parts{"say <|endoftext|> aloud\n <|endoftext|>\n<|endoftext|>!"})
      << "only a line that is nothing else";
  EXPECT_TRUE(split_documents("").empty());
  EXPECT_TRUE(split_documents("\n\n").empty());
  EXPECT_TRUE(split_documents("<|endoftext|>").empty());
  EXPECT_TRUE(split_documents("\n<|endoftext|>\n\n").empty());
}

double loss_of(const Vector& logits, int32_t token) {
  double sum = 0.0;
  for (const double logit : logits) sum += std::exp(logit);
  return std::log(sum) - logits[static_cast<size_t>(token)];
}

// A model that is a table: attention and feed-forward add nothing, a token's embedding is a unit vector, and so its
// logits are a row of `table` [vocab_size][vocab_size].
class TableWeights : public WeightSource {
 public:
  explicit TableWeights(std::vector<Vector> table) : table_(std::move(table)) {}

  Tensor get(const std::string& name, Shape shape) override {
    Tensor tensor(shape, DType::f32);
    float* values = tensor.view().as<float>();
    const auto n = static_cast<int64_t>(table_.size());
    for (int64_t i = 0; i < tensor.view().numel(); ++i) {
      const bool ones = name.ends_with("norm.weight") || (name == "model.embed_tokens.weight" && i % (n + 1) == 0);
      values[i] = ones ? 1.0f : 0.0f;
    }
    // RMSNorm makes a unit vector sqrt(n) long.
    for (int64_t i = 0; name == "lm_head.weight" && i < n * n; ++i) {
      const double logit = table_[static_cast<size_t>(i % n)][static_cast<size_t>(i / n)];
      values[i] = static_cast<float>(logit / std::sqrt(static_cast<double>(n)));
    }
    return tensor;
  }

 private:
  std::vector<Vector> table_;
};

ModelConfig table_config(int vocab_size) {
  ModelConfig config = tiny_config("llama");
  config.hidden_size = vocab_size;
  config.vocab_size = vocab_size;
  config.rms_norm_eps = 1e-12f;
  return config;
}

TEST(TokenLosses, AModelThatKnowsNothing) {
  TableWeights weights(std::vector<Vector>(6, Vector(6, 0.0)));
  const Transformer model(table_config(6), weights, DType::f32);
  expect_close(token_losses(model, {0, 5, 3, 3, 1}, 4, 2), Vector(4, std::log(6.0)), 1e-6);
}

// Three tokens, of which the first leads to the second with probability 1/2, and so on: worked on paper.
TEST(TokenLosses, OnPaper) {
  TableWeights weights({{std::log(1.0), std::log(2.0), std::log(1.0)},    // 1/4 1/2 1/4
                        {std::log(1.0), std::log(1.0), std::log(8.0)},    // 1/10 1/10 8/10
                        {std::log(3.0), std::log(1.0), std::log(1.0)}});  // 3/5 1/5 1/5
  const Transformer model(table_config(3), weights, DType::f32);
  const Vector expected = {-std::log(0.5), -std::log(0.8), -std::log(0.6), -std::log(0.25), -std::log(0.2)};
  expect_close(token_losses(model, {0, 1, 2, 0, 0 + 2, 1}, 6, 3), expected, 1e-6);
}

// Whatever the window and stride, every token but the first is scored once and in its place.
TEST(TokenLosses, EveryTokenIsScoredOnce) {
  std::mt19937_64 random(1);
  std::vector<Vector> table(7, Vector(7));
  for (Vector& row : table) {
    for (double& logit : row) logit = 0.01 * static_cast<double>(random() % 400);
  }
  TableWeights weights(table);
  const Transformer model(table_config(7), weights, DType::f32);
  for (const int64_t n : {0, 1, 2, 3, 7, 8, 9, 16, 17, 31}) {
    const Ids tokens = random_ids(random, n, 7);
    Vector expected;
    for (size_t i = 1; i < tokens.size(); ++i) {
      expected.push_back(loss_of(table[static_cast<size_t>(tokens[i - 1])], tokens[i]));
    }
    for (int window = 2; window <= 9; ++window) {
      for (int stride = 1; stride < window; ++stride) {
        expect_close(token_losses(model, tokens, window, stride), expected, 1e-5);
      }
    }
  }
}

// A Llama in double precision, written straight from the equations and sharing no code with ours.
class DoubleLlama {
 public:
  DoubleLlama(const ModelConfig& config, WeightSource& source) : c_(config), source_(source) {}

  // The logits after the last of `ids`, which stand at positions 0, 1, ...
  Vector logits(const Ids& ids) const {
    std::vector<Vector> x;
    const std::vector<Vector> embedding = matrix("model.embed_tokens.weight", c_.vocab_size, c_.hidden_size);
    for (const int32_t id : ids) x.push_back(embedding[static_cast<size_t>(id)]);
    for (int layer = 0; layer < c_.num_layers; ++layer) {
      const std::string name = "model.layers." + std::to_string(layer) + ".";
      attend(name, x);
      feed_forward(name, x);
    }
    return product(matrix("lm_head.weight", c_.vocab_size, c_.hidden_size), norm("model.norm.weight", x.back()));
  }

 private:
  std::vector<Vector> matrix(const std::string& name, int64_t rows, int64_t columns) const {
    const Tensor tensor = source_.get(name, {rows, columns});
    std::vector<Vector> all;
    for (int64_t r = 0; r < rows; ++r) all.push_back(to_doubles(tensor.view().rows(r, r + 1)));
    return all;
  }
  static Vector product(const std::vector<Vector>& weight, const Vector& x) {
    Vector out;
    for (const Vector& row : weight) out.push_back(std::inner_product(row.begin(), row.end(), x.begin(), 0.0));
    return out;
  }
  Vector norm(const std::string& name, Vector x) const {
    const Vector weight = to_doubles(source_.get(name, {c_.hidden_size}));
    const double mean = std::inner_product(x.begin(), x.end(), x.begin(), 0.0) / static_cast<double>(x.size());
    for (size_t i = 0; i < x.size(); ++i) x[i] *= weight[i] / std::sqrt(mean + double{c_.rms_norm_eps});
    return x;
  }
  // Dimension i turns with i + half by the angle position · theta^(−2i / head_dim).
  void rotate(double* head, size_t position) const {
    const int half = c_.head_dim / 2;
    for (int i = 0; i < half; ++i) {
      const double angle = static_cast<double>(position) * std::pow(c_.rope_theta, -2.0 * i / c_.head_dim);
      const double a = head[i], b = head[i + half];
      head[i] = a * std::cos(angle) - b * std::sin(angle);
      head[i + half] = b * std::cos(angle) + a * std::sin(angle);
    }
  }
  std::vector<Vector> project(const std::string& name, int heads, const std::vector<Vector>& x, bool rotated) const {
    const std::vector<Vector> weight = matrix(name, heads * c_.head_dim, c_.hidden_size);
    std::vector<Vector> out;
    for (size_t t = 0; t < x.size(); ++t) {
      out.push_back(product(weight, x[t]));
      for (int h = 0; rotated && h < heads; ++h) rotate(&out[t][static_cast<size_t>(h * c_.head_dim)], t);
    }
    return out;
  }
  void attend(const std::string& layer, std::vector<Vector>& x) const {
    std::vector<Vector> normed;
    for (const Vector& row : x) normed.push_back(norm(layer + "input_layernorm.weight", row));
    const auto q = project(layer + "self_attn.q_proj.weight", c_.num_heads, normed, true);
    const auto k = project(layer + "self_attn.k_proj.weight", c_.num_kv_heads, normed, true);
    const auto v = project(layer + "self_attn.v_proj.weight", c_.num_kv_heads, normed, false);
    const auto out = matrix(layer + "self_attn.o_proj.weight", c_.hidden_size, c_.num_heads * c_.head_dim);
    const auto d = static_cast<size_t>(c_.head_dim);
    for (size_t t = 0; t < x.size(); ++t) {
      Vector attended(q[t].size(), 0.0);
      for (size_t h = 0; h < static_cast<size_t>(c_.num_heads); ++h) {
        const size_t kv_head = h / static_cast<size_t>(c_.num_heads / c_.num_kv_heads);
        Vector weights;
        for (size_t j = 0; j <= t; ++j) {
          const double dot = std::inner_product(&q[t][h * d], &q[t][h * d] + d, &k[j][kv_head * d], 0.0);
          weights.push_back(std::exp(dot / std::sqrt(static_cast<double>(d))));
        }
        const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
        for (size_t j = 0; j <= t; ++j) {
          for (size_t i = 0; i < d; ++i) attended[h * d + i] += weights[j] / sum * v[j][kv_head * d + i];
        }
      }
      add(x[t], product(out, attended));
    }
  }
  void feed_forward(const std::string& layer, std::vector<Vector>& x) const {
    const auto gate = matrix(layer + "mlp.gate_proj.weight", c_.intermediate_size, c_.hidden_size);
    const auto up = matrix(layer + "mlp.up_proj.weight", c_.intermediate_size, c_.hidden_size);
    const auto down = matrix(layer + "mlp.down_proj.weight", c_.hidden_size, c_.intermediate_size);
    for (Vector& row : x) {
      const Vector normed = norm(layer + "post_attention_layernorm.weight", row);
      Vector g = product(gate, normed);
      const Vector u = product(up, normed);
      for (size_t i = 0; i < g.size(); ++i) g[i] = g[i] / (1.0 + std::exp(-g[i])) * u[i];
      add(row, product(down, g));
    }
  }
  static void add(Vector& to, const Vector& delta) {
    for (size_t i = 0; i < to.size(); ++i) to[i] += delta[i];
  }

  ModelConfig c_;
  WeightSource& source_;
};

// Each token after as much of the text as its first window shows: windows begin at 0, stride, 2 · stride, ...
TEST(TokenLosses, AgreesWithADoublePrecisionModel) {
  const ModelConfig config = tiny_config("llama");
  SeededWeights weights(3);
  const Transformer model(config, weights, DType::f32);
  const DoubleLlama reference(config, weights);
  std::mt19937_64 random(8);
  const Ids tokens = random_ids(random, 23, config.vocab_size);
  for (const auto& [window, stride] : std::vector<std::pair<int, int>>{{48, 24}, {10, 5}, {9, 1}, {7, 6}, {2, 1}}) {
    Vector expected;
    for (int token = 1; token < 23; ++token) {
      int begin = 0;
      while (begin + window <= token) begin += stride;
      expected.push_back(loss_of(reference.logits({tokens.begin() + begin, tokens.begin() + token}),
                                 tokens[static_cast<size_t>(token)]));
    }
    expect_close(token_losses(model, tokens, window, stride), expected, 2e-5);
  }
}

}  // namespace
}  // namespace llm
