#include "common/model/weights.h"

#include <gtest/gtest.h>

#include "common/model/random_weights.h"
#include "common/model/safetensors.h"
#include "tests/common/model/editable_model.h"
#include "tests/common/ops/ops_testing.h"
#include "tests/support/expect_close.h"
#include "tests/support/gpu_device.h"
#include "tests/support/temporary_folder.h"
#if defined(LLM_HAVE_SIMT)
#include "common/simt/memory.h"
#endif

namespace llm {
namespace {

ModelConfig small_config() {
  ModelConfig config;
  config.hidden_size = 8;
  config.num_layers = 2;
  config.num_heads = 2;
  config.num_kv_heads = 1;
  config.head_dim = 6;
  config.intermediate_size = 5;
  config.vocab_size = 10;
  config.context_length = 16;
  return config;
}

// What x · matrixᵀ is for the unit vectors x: the matrix, whatever its layout.
std::vector<double> unpacked(const Matrix& matrix) {
  const Tensor x({matrix.in_features, matrix.in_features}, DType::f32);
  const Tensor out({matrix.in_features, matrix.out_features}, DType::f32);
  float* values = x.view().as<float>();
  for (int64_t i = 0; i < x.view().numel(); ++i) values[i] = i % (matrix.in_features + 1) == 0 ? 1.0f : 0.0f;
  cpu::matmul(x, matrix, {}, out);
  std::vector<double> rows;
  for (int64_t o = 0; o < matrix.out_features; ++o) {
    for (int64_t i = 0; i < matrix.in_features; ++i)
      rows.push_back(out.view().as<float>()[i * matrix.out_features + o]);
  }
  return rows;
}

std::vector<double> stacked(WeightSource& source, const std::vector<std::string>& names,
                            const std::vector<Shape>& shapes) {
  std::vector<double> all;
  for (size_t i = 0; i < names.size(); ++i) {
    const std::vector<double> part = to_doubles(source.get(names[i], shapes[i]));
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

TEST(Weights, StacksWhatIsReadTogether) {
  ModelConfig config = small_config();
  config.attention_bias = config.qk_norm = true;
  const auto source = make_random_weights(1);
  const Weights weights = load_weights(config, *source, DType::f32, Device::cpu);
  ASSERT_EQ(weights.layers.size(), 2u);
  const LayerWeights& layer = weights.layers[1];
  const std::string attention = "model.layers.1.self_attn.", mlp = "model.layers.1.mlp.";
  EXPECT_EQ(unpacked(layer.qkv),
            stacked(*source, {attention + "q_proj.weight", attention + "k_proj.weight", attention + "v_proj.weight"},
                    {{12, 8}, {6, 8}, {6, 8}}));
  EXPECT_EQ(to_doubles(layer.qkv_bias),
            stacked(*source, {attention + "q_proj.bias", attention + "k_proj.bias", attention + "v_proj.bias"},
                    {{12}, {6}, {6}}));
  EXPECT_EQ(unpacked(layer.attention_out), stacked(*source, {attention + "o_proj.weight"}, {{8, 12}}));
  EXPECT_EQ(unpacked(layer.gate_up),
            stacked(*source, {mlp + "gate_proj.weight", mlp + "up_proj.weight"}, {{5, 8}, {5, 8}}));
  EXPECT_EQ(unpacked(layer.down), stacked(*source, {mlp + "down_proj.weight"}, {{8, 5}}));
  EXPECT_EQ(layer.k_norm.view().shape, Shape{6});
  EXPECT_EQ(unpacked(weights.lm_head), stacked(*source, {"lm_head.weight"}, {{10, 8}}));
  EXPECT_EQ(to_doubles(weights.embedding), stacked(*source, {"model.embed_tokens.weight"}, {{10, 8}}));
}

TEST(Weights, ATiedOutputIsTheEmbedding) {
  ModelConfig config = small_config();
  config.tied_embeddings = true;
  const auto source = make_random_weights(1);
  const Weights weights = load_weights(config, *source, DType::f32, Device::cpu);
  EXPECT_EQ(unpacked(weights.lm_head), to_doubles(weights.embedding));
}

TEST(Weights, ATiedModelNeedsNoOutputMatrixAndIgnoresOne) {
  const auto folder = temporary_folder();
  EditableModel model;
  model.config.set("tie_word_embeddings", true);
  for (const char* name : {"lm_head.weight", "unused.weight"}) {
    model.entry("lm_head.weight").name = name;
    model.write(folder);
    SafetensorsFolder source(folder);
    const Weights weights = load_weights(ModelConfig::load(folder), source, DType::f32, Device::cpu);
    EXPECT_EQ(unpacked(weights.lm_head), to_doubles(weights.embedding));
  }
}

// A source of one dtype, of which each number is exact in bf16.
class SourceOf : public WeightSource {
 public:
  explicit SourceOf(DType dtype) : dtype_(dtype) {}

  Tensor get(const std::string& name, Shape shape) override {
    const Tensor random = make_random_weights(1)->get(name, shape), tensor(shape, dtype_);
    for (int64_t i = 0; i < shape.numel(); ++i) set(tensor, i, to_float(random.view().as<bf16>()[i]));
    return tensor;
  }

 private:
  DType dtype_;
};

class WeightsOnDevice : public testing::TestWithParam<Device> {
 protected:
  void SetUp() override { LLM_SKIP_WITHOUT(GetParam()); }
};

TEST_P(WeightsOnDevice, ATiedOutputIsTheEmbeddingsMemoryWhereNothingIsRounded) {
  ModelConfig config = small_config();
  for (const DType source_dtype : {DType::f32, DType::bf16, DType::f16}) {
    for (const DType dtype : {DType::f32, DType::bf16}) {
      for (const bool tied : {true, false}) {
        SCOPED_TRACE(fmt::format("{} as {}, tied {}", name_of(source_dtype), name_of(dtype), tied));
        config.tied_embeddings = tied;
        SourceOf source(source_dtype);
        const Weights weights = load_weights(config, source, dtype, GetParam());
        const Tensor table = source.get("model.embed_tokens.weight", {10, 8});
        const bool same = weights.embedding.view().data == weights.lm_head.data.view().data;
        EXPECT_EQ(same, tied && (dtype == source_dtype || dtype == DType::f32));
        EXPECT_EQ(to_doubles(to_host(weights.embedding)), to_doubles(table));
        if (tied && dtype == DType::f32) {
          EXPECT_EQ(to_doubles(to_host(weights.lm_head.data)), to_doubles(table));
        }
        EXPECT_EQ(weights.embedding.view().device, GetParam());
      }
    }
  }
}

TEST_P(WeightsOnDevice, AreTheCpus) {
  ModelConfig config = small_config();
  config.attention_bias = config.qk_norm = true;
  const auto source = make_random_weights(1);
  const Weights here = load_weights(config, *source, DType::bf16, Device::cpu);
  const Weights there = load_weights(config, *source, DType::bf16, GetParam());
  for (size_t i = 0; i < here.layers.size(); ++i) {
    const LayerWeights &a = here.layers[i], &b = there.layers[i];
    EXPECT_EQ(unpacked(a.qkv), to_doubles(to_host(b.qkv.data)));
    EXPECT_EQ(unpacked(a.gate_up), to_doubles(to_host(b.gate_up.data)));
    EXPECT_EQ(unpacked(a.down), to_doubles(to_host(b.down.data)));
    EXPECT_EQ(to_doubles(a.qkv_bias), to_doubles(to_host(b.qkv_bias)));
    EXPECT_EQ(to_doubles(a.ffn_norm), to_doubles(to_host(b.ffn_norm)));
  }
  EXPECT_EQ(unpacked(here.lm_head), to_doubles(to_host(there.lm_head.data)));
  EXPECT_EQ(here.bytes_per_step(), there.bytes_per_step());
}

INSTANTIATE_TEST_SUITE_P(Devices, WeightsOnDevice, testing::Values(Device::simt, Device::cuda),
                         [](const auto& test) { return name_of(test.param); });

#if defined(LLM_HAVE_SIMT)
// At no time is there more on the device than the weights, and what the source gave for one of them.
TEST(WeightsOnSimt, LoadingNeedsLittleMoreThanTheWeights) {
  ModelConfig config = small_config();
  config.num_layers = 5;
  config.vocab_size = 64;
  SourceOf source(DType::bf16);
  load_weights(config, source, DType::f32, Device::simt);  // the stream's and cuBLAS's own memory is taken here
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const bool tied : {true, false}) {
      config.tied_embeddings = tied;
      simt::forget_peak();
      const size_t before = simt::memory_use().now;
      const Weights weights = load_weights(config, source, dtype, Device::simt);
      const size_t table = 64 * 8 * 2, output = 64 * 8 * size_of(dtype);
      // Q on K on V 24 · 8, out 8 · 12, gate on up 10 · 8, down 8 · 5; two norms a layer and the last one
      const size_t layers = 5 * ((192 + 96 + 80 + 40) * size_of(dtype) + 2 * 8 * 4) + 8 * 4;
      EXPECT_EQ(simt::memory_use().now - before, layers + output + (tied ? 0 : table));
      EXPECT_LE(simt::memory_use().peak, simt::memory_use().now + 192 * 2);
    }
  }
}
#endif

TEST(Weights, CountsTheBytesOfAStep) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    ModelConfig config = small_config();
    const auto source = make_random_weights(1);
    // Q on K on V 24 · 8, out 8 · 12, gate on up 10 · 8, down 8 · 5; the output matrix 10 · 8
    const size_t matrices = 2 * (192 + 96 + 80 + 40) + 80;
    const size_t norms = 2 * 2 * 8 + 8, embedding_row = 8;
    const size_t plain = matrices * size_of(dtype) + norms * 4 + embedding_row * 2;
    EXPECT_EQ(load_weights(config, *source, dtype, Device::cpu).bytes_per_step(), plain);
    config.tied_embeddings = true;
    EXPECT_EQ(load_weights(config, *source, dtype, Device::cpu).bytes_per_step(), plain);
    config.attention_bias = true;
    EXPECT_EQ(load_weights(config, *source, dtype, Device::cpu).bytes_per_step(), plain + 2 * 24 * 4);
    config.qk_norm = true;
    EXPECT_EQ(load_weights(config, *source, dtype, Device::cpu).bytes_per_step(), plain + 2 * (24 + 12) * 4);
  }
}

}  // namespace
}  // namespace llm
