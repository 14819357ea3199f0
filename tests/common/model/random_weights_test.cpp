#include "common/model/random_weights.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "common/model/transformer.h"
#include "tests/support/expect_close.h"
#include "tests/support/gpu_device.h"

namespace llm {
namespace {

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.view().shape == b.view().shape && std::memcmp(a.view().data, b.view().data, a.view().nbytes()) == 0;
}

TEST(RandomWeights, DependOnNameAndSeedAlone) {
  const auto one = make_random_weights(1), again = make_random_weights(1), two = make_random_weights(2);
  const Tensor a = one->get("a.weight", {65, 33});
  EXPECT_FALSE(same_bits(a, one->get("b.weight", {65, 33})));
  EXPECT_FALSE(same_bits(a, two->get("a.weight", {65, 33})));
  const int threads = omp_get_max_threads();
  for (const int n : {1, 2, 3}) {
    omp_set_num_threads(n);
    EXPECT_TRUE(same_bits(a, again->get("a.weight", {65, 33})));
  }
  omp_set_num_threads(threads);
}

TEST(RandomWeights, AreTheSameOnEveryDevice) {
  for (const Device device : {Device::simt, Device::cuda}) {
    if (!missing_device(device).empty()) continue;
    for (const char* name : {"a.weight", "a.norm.weight", "a.bias"}) {
      for (const Shape shape : {Shape{65, 33}, Shape{1, 31}, Shape{1031}, Shape{1}, Shape{0}}) {
        const Tensor there = make_random_weights(3)->get_on(device, name, shape);
        EXPECT_EQ(there.view().device, there.empty() ? there.view().device : device);
        EXPECT_TRUE(same_bits(to_host(there), make_random_weights(3)->get(name, shape)))
            << name_of(device) << ", " << name << " " << shape.to_string();
      }
    }
  }
}

TEST(RandomWeights, HaveTheStatedVariance) {
  for (const int64_t columns : {31, 288, 1000}) {
    const std::vector<double> values = to_doubles(make_random_weights(7)->get("a.weight", {1009, columns}));
    double sum = 0.0, squares = 0.0, neighbors = 0.0, above = 0.0;
    for (size_t i = 0; i < values.size(); ++i) {
      sum += values[i];
      squares += values[i] * values[i];
      if (i > 0) neighbors += values[i] * values[i - 1];
      if (i >= static_cast<size_t>(columns)) above += values[i] * values[i - static_cast<size_t>(columns)];
    }
    const double n = static_cast<double>(values.size()), variance = 1.0 / static_cast<double>(columns);
    const double five_sigma = 5.0 / std::sqrt(n);
    EXPECT_NEAR(sum / n / std::sqrt(variance), 0.0, five_sigma);
    EXPECT_NEAR(squares / n / variance, 1.0, five_sigma + 1e-3);
    EXPECT_NEAR(neighbors / n / variance, 0.0, five_sigma);
    EXPECT_NEAR(above / n / variance, 0.0, five_sigma);
  }
}

TEST(RandomWeights, NormsAreOnes) {
  for (const char* name : {"model.norm.weight", "model.layers.0.input_layernorm.weight", "a.q_norm.weight"}) {
    expect_close(make_random_weights(7)->get(name, {5}), std::vector<float>(5, 1.0f), 0.0);
  }
  EXPECT_EQ(make_random_weights(7)->get("x.norm.weight", {0}).view().numel(), 0);
}

TEST(RandomWeights, TheShapesAreKnownByName) {
  const std::vector<std::string> names = random_shape_names();
  for (const char* name : {"llama2c-15m", "llama2c-110m", "smollm2-135m", "llama-3.2-1b", "llama-3-8b"}) {
    EXPECT_EQ(std::count(names.begin(), names.end(), name), 1) << name;
  }
  for (const std::string& name : names) {
    const ModelConfig config = random_shape(name);
    EXPECT_EQ(config.name, name);
    EXPECT_EQ(config.num_heads * config.head_dim, config.hidden_size);
    EXPECT_EQ(config.num_heads % config.num_kv_heads, 0);
  }
  EXPECT_EQ(random_shape("llama-3.2-1b").rope_scaling.factor, 32.0);
  try {
    random_shape("stories");
    FAIL() << "an unknown shape was accepted";
  } catch (const InputError& error) {
    const std::string sentence = error.what();
    EXPECT_TRUE(sentence.starts_with("--model random:stories: no such shape; give one of llama2c-15m, ")) << sentence;
    for (const std::string& name : names) EXPECT_NE(sentence.find(name), std::string::npos) << name;
  }
}

}  // namespace
}  // namespace llm
