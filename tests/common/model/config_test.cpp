#include "common/model/config.h"

#include <gtest/gtest.h>

#include <cmath>

#include "common/model/random_weights.h"
#include "tests/common/model/editable_model.h"
#include "tests/support/temporary_folder.h"

namespace llm {
namespace {

// The config of the tiny model with some fields set to other JSON values.
ModelConfig load(std::initializer_list<std::pair<const char*, const char*>> fields) {
  const auto folder = temporary_folder();
  EditableModel model;
  for (const auto& [key, value] : fields) model.config.set(key, Json::parse(value, "field"));
  write_file(folder / "config.json", model.config.dump());
  return ModelConfig::load(folder);
}

TEST(ModelConfig, ReadsALlama) {
  const ModelConfig config = load({{"rms_norm_eps", "1e-05"}, {"eos_token_id", "2"}, {"rope_theta", "500000.0"}});
  EXPECT_EQ(config.name, "ReadsALlama");
  EXPECT_EQ(config.model_type, "llama");
  EXPECT_EQ(config.hidden_size, 8);
  EXPECT_EQ(config.num_layers, 1);
  EXPECT_EQ(config.num_heads, 2);
  EXPECT_EQ(config.num_kv_heads, 1);
  EXPECT_EQ(config.head_dim, 4);
  EXPECT_EQ(config.intermediate_size, 6);
  EXPECT_EQ(config.vocab_size, 10);
  EXPECT_EQ(config.context_length, 16);
  EXPECT_EQ(config.sliding_window, 0);
  EXPECT_EQ(config.rms_norm_eps, 1e-5f);
  EXPECT_EQ(config.rope_theta, 500000.0);
  EXPECT_EQ(config.rope_scaling.kind, RopeScaling::Kind::none);
  EXPECT_FALSE(config.attention_bias);
  EXPECT_FALSE(config.qk_norm);
  EXPECT_FALSE(config.tied_embeddings);
  EXPECT_EQ(config.eos_token_ids, std::vector<int32_t>{2});
  EXPECT_EQ(config.qkv_size(), 16);
  // per layer: Q and O 8·8, K and V 8·4, three of 8·6, two norms; then a norm, the embedding and the output matrix
  EXPECT_EQ(config.num_parameters(), 2 * 64 + 2 * 32 + 3 * 48 + 2 * 8 + 8 + 2 * 80);
  EXPECT_EQ(config.kv_bytes_per_token(2), 2 * 1 * 1 * 4 * 2);
}

TEST(ModelConfig, TakesTransformersDefaults) {
  const ModelConfig config = load({{"num_key_value_heads", "null"}, {"head_dim", "null"}, {"rope_scaling", "null"}});
  EXPECT_EQ(config.num_kv_heads, 2);
  EXPECT_EQ(config.head_dim, 4);
  EXPECT_EQ(config.rms_norm_eps, 1e-6f);
  EXPECT_EQ(config.rope_theta, 10000.0);
  EXPECT_TRUE(config.eos_token_ids.empty());
  EXPECT_EQ(load({{"model_type", "\"qwen3\""}}).head_dim, 128);
}

TEST(ModelConfig, HeadDimNeedNotDivideTheHiddenSize) {
  const ModelConfig config = load({{"hidden_size", "9"}, {"head_dim", "10"}, {"num_attention_heads", "3"}});
  EXPECT_EQ(config.head_dim, 10);
  EXPECT_EQ(config.qkv_size(), 50);
}

TEST(ModelConfig, RopeInAllItsSpellings) {
  const auto expect = [](const ModelConfig& config, double theta, RopeScaling::Kind kind, double factor) {
    EXPECT_EQ(config.rope_theta, theta);
    EXPECT_EQ(config.rope_scaling.kind, kind);
    EXPECT_EQ(config.rope_scaling.factor, factor);
  };
  using Kind = RopeScaling::Kind;
  expect(load({{"rope_parameters", R"({"rope_theta": 5e5, "rope_type": "default"})"}}), 5e5, Kind::none, 1);
  expect(load({{"rope_parameters", "null"}, {"rope_theta", "2e4"}}), 2e4, Kind::none, 1);
  expect(load({{"rope_scaling", "{}"}, {"rope_parameters", R"({"rope_theta": 3e4})"}}), 3e4, Kind::none, 1);
  expect(load({{"rope_scaling", R"({"type": "linear", "factor": 4})"}, {"rope_theta", "2e4"}}), 2e4, Kind::linear, 4);
  expect(load({{"rope_scaling", R"({"rope_type": "linear", "factor": 2.5})"}}), 1e4, Kind::linear, 2.5);
  expect(load({{"rope_parameters", R"({"rope_theta": 7e4, "rope_type": "linear", "factor": 3})"}, {"rope_theta", "1"}}),
         7e4, Kind::linear, 3);
  expect(load({{"rope_scaling", R"({"type": "linear", "factor": 4})"}, {"rope_parameters", R"({"rope_theta": 9})"}}),
         1e4, Kind::linear, 4);

  const ModelConfig llama3 =
      load({{"rope_theta", "5e5"}, {"rope_scaling", R"({"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.5,
                                      "high_freq_factor": 4.5, "original_max_position_embeddings": 4096})"}});
  expect(llama3, 5e5, Kind::llama3, 32);
  EXPECT_EQ(llama3.rope_scaling.low_freq_factor, 1.5);
  EXPECT_EQ(llama3.rope_scaling.high_freq_factor, 4.5);
  EXPECT_EQ(llama3.rope_scaling.original_context, 4096.0);
  const ModelConfig no_original = load(
      {{"rope_parameters", R"({"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4})"}});
  EXPECT_EQ(no_original.rope_scaling.original_context, 16.0) << "max_position_embeddings stands in";
}

TEST(ModelConfig, ASlidingWindowShortensTheContext) {
  const auto expect = [](const ModelConfig& config, int window, int context) {
    EXPECT_EQ(config.sliding_window, window);
    EXPECT_EQ(config.context_length, context);
  };
  const std::pair mistral{"model_type", "\"mistral\""}, long_context{"max_position_embeddings", "5000"};
  expect(load({mistral, {"sliding_window", "7"}}), 7, 7);
  expect(load({mistral, {"sliding_window", "64"}}), 64, 16);
  expect(load({mistral, long_context, {"sliding_window", "null"}}), 0, 5000);
  expect(load({mistral, long_context}), 4096, 4096);  // transformers' default

  for (const char* type : {"\"qwen2\"", "\"qwen3\""}) {
    const std::pair qwen{"model_type", type}, use{"use_sliding_window", "true"}, window{"sliding_window", "7"};
    expect(load({qwen, window}), 0, 16);
    expect(load({qwen, window, {"use_sliding_window", "false"}}), 0, 16);
    expect(load({qwen, window, use}), 0, 16);  // the first 28 layers have none
    expect(load({qwen, window, use, {"max_window_layers", "1"}}), 0, 16);
    expect(load({qwen, window, use, {"max_window_layers", "0"}}), 7, 7);
    expect(load({qwen, {"sliding_window", "null"}, use, {"max_window_layers", "0"}}), 0, 16);
    expect(load({qwen, window, use, {"layer_types", R"(["sliding_attention"])"}}), 7, 7);
    expect(load({qwen, window, use, {"max_window_layers", "0"}, {"layer_types", R"(["full_attention"])"}}), 0, 16);
    expect(load({qwen, long_context, use, {"max_window_layers", "0"}}), 4096, 4096);
  }
  expect(load({{"sliding_window", "7"}, {"use_sliding_window", "true"}}), 0, 16);  // a Llama has none
}

TEST(ModelConfig, FamiliesDifferInBiasAndNorm) {
  EXPECT_FALSE(load({{"model_type", "\"mistral\""}}).attention_bias);
  const ModelConfig qwen2 = load({{"model_type", "\"qwen2\""}, {"tie_word_embeddings", "true"}});
  EXPECT_TRUE(qwen2.attention_bias);
  EXPECT_FALSE(qwen2.qk_norm);
  EXPECT_TRUE(qwen2.tied_embeddings);
  const ModelConfig qwen3 = load({{"model_type", "\"qwen3\""}, {"head_dim", "4"}});
  EXPECT_FALSE(qwen3.attention_bias);
  EXPECT_TRUE(qwen3.qk_norm);
  const int64_t llama = load({}).num_parameters();
  EXPECT_EQ(qwen2.num_parameters(), llama + 16 - 80);
  EXPECT_EQ(qwen3.num_parameters(), llama + 2 * 4);
}

TEST(ModelConfig, EndTokensComeFromBothFiles) {
  const auto folder = temporary_folder();
  EditableModel model;
  model.config.set("eos_token_id", Json::integers({3, 2}));
  model.write(folder);
  EXPECT_EQ(ModelConfig::load(folder).eos_token_ids, (std::vector<int32_t>{3, 2}));
  write_file(folder / "generation_config.json", R"({"eos_token_id": [2, 9]})");
  EXPECT_EQ(ModelConfig::load(folder).eos_token_ids, (std::vector<int32_t>{3, 2, 9}));
  write_file(folder / "generation_config.json", R"({"eos_token_id": 0})");
  EXPECT_EQ(ModelConfig::load(folder / "").eos_token_ids, (std::vector<int32_t>{3, 2, 0}));
  EXPECT_EQ(ModelConfig::load(folder / "").name, "EndTokensComeFromBothFiles");
  write_file(folder / "generation_config.json", R"({"eos_token_id": null})");
  EXPECT_EQ(ModelConfig::load(folder).eos_token_ids, (std::vector<int32_t>{3, 2}));
}

// The sizes that the models' makers state.
TEST(ModelConfig, CountsTheParametersOfKnownModels) {
  EXPECT_EQ(random_shape("llama2c-15m").num_parameters(), 15'191'712);
  EXPECT_EQ(random_shape("llama2c-110m").num_parameters(), 109'529'856);
  EXPECT_EQ(random_shape("smollm2-135m").num_parameters(), 134'515'008);
  EXPECT_EQ(random_shape("llama-3.2-1b").num_parameters(), 1'235'814'400);
  EXPECT_EQ(random_shape("llama-2-7b").num_parameters(), 6'738'415'616);
  EXPECT_EQ(random_shape("llama-3-8b").num_parameters(), 8'030'261'248);
  EXPECT_EQ(random_shape("llama-3-70b").num_parameters(), 70'553'706'496);
  EXPECT_EQ(random_shape("llama-3-8b").kv_bytes_per_token(2), 131072);
}

// Exercises 1 and 4 of docs/02-kv-cache.md.
TEST(ModelConfig, CountsTheTokensThatFit) {
  const ModelConfig config = load({{"num_hidden_layers", "24"},
                                   {"num_attention_heads", "16"},
                                   {"num_key_value_heads", "2"},
                                   {"head_dim", "64"},
                                   {"hidden_size", "1024"}});
  EXPECT_EQ(config.kv_bytes_per_token(2), 12288);
  EXPECT_EQ(1'000'000'000 / config.kv_bytes_per_token(2), 81380);
  const ModelConfig& llama = random_shape("llama-3-8b");
  EXPECT_EQ(std::lround(2.0 * static_cast<double>(llama.num_parameters()) / 1e7), 1606);
  EXPECT_EQ(16'060'000'000 / llama.kv_bytes_per_token(2), 122528);
}

}  // namespace
}  // namespace llm
