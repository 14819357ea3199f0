// Small models made of seeded random numbers, one of every family, in memory or as a Hugging Face folder.
#pragma once

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "common/json/json.h"
#include "common/model/transformer.h"

namespace llm {

// A seed from a name and a number, the same on every machine (FNV-1a).
inline uint64_t seed_of(const std::string& name, uint64_t seed) {
  uint64_t hash = 0xcbf29ce484222325u ^ seed;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

// Any tensor that is asked for. Norms lie between 0.5 and 1.5, biases between -0.5 and 0.5; all else has the variance
// 3 / (size of the last dimension), so that layers matter and logits lie well apart.
class SeededWeights : public WeightSource {
 public:
  explicit SeededWeights(uint64_t seed) : seed_(seed) {}

  Tensor get(const std::string& name, Shape shape) override {
    Tensor tensor(shape, DType::f32);
    const TensorView view = tensor;
    const bool norm = name.ends_with("norm.weight"), bias = name.ends_with(".bias");
    const float middle = norm ? 1.0f : 0.0f;
    const float range = norm || bias ? 0.5f : 3.0f / std::sqrt(static_cast<float>(view.dim(shape.rank() - 1)));
    std::mt19937_64 random(seed_of(name, seed_));
    for (int64_t i = 0; i < view.numel(); ++i) {
      const float uniform = static_cast<float>(random() >> 40) * 0x1p-23f - 1.0f;  // [-1, 1)
      view.as<float>()[i] = middle + range * uniform;
    }
    return tensor;
  }

 private:
  uint64_t seed_;
};

// Shapes that are no multiple of anything: GQA 6 : 2 for llama; a bias and one KV head for qwen2; QK-norm, a head_dim
// of its own and as many KV heads as heads for qwen3.
inline ModelConfig tiny_config(const std::string& family) {
  ModelConfig config;
  config.name = "tiny-" + family;
  config.model_type = family;
  config.hidden_size = 36;
  config.num_layers = 2;
  config.num_heads = 6;
  config.num_kv_heads = 2;
  config.head_dim = 6;
  config.intermediate_size = 53;
  config.vocab_size = 131;
  config.context_length = 48;
  config.eos_token_ids = {2};
  if (family == "qwen2") {
    config.hidden_size = 40;
    config.num_heads = 5;
    config.num_kv_heads = 1;
    config.head_dim = 8;
    config.attention_bias = true;
    config.tied_embeddings = true;
  } else if (family == "qwen3") {
    config.hidden_size = 28;
    config.num_layers = 3;
    config.num_heads = 3;
    config.num_kv_heads = 3;
    config.head_dim = 10;
    config.qk_norm = true;
    config.rms_norm_eps = 1e-6f;
    config.rope_theta = 1e6;
  }
  return config;
}

inline const std::vector<std::string>& tiny_families() {
  static const std::vector<std::string> families = {"llama", "qwen2", "qwen3"};
  return families;
}

inline std::shared_ptr<const Transformer> tiny_transformer(const ModelConfig& config, uint64_t seed,
                                                           DType dtype = DType::f32, Device device = Device::cpu) {
  SeededWeights weights(seed);
  return std::make_shared<Transformer>(config, weights, dtype, device);
}

inline std::vector<int32_t> random_ids(std::mt19937_64& random, int64_t count, int vocab_size) {
  std::vector<int32_t> ids(static_cast<size_t>(count));
  for (int32_t& id : ids) id = static_cast<int32_t>(random() % static_cast<uint64_t>(vocab_size));
  return ids;
}

// Writes what it hands on to the file that it builds: whatever a Transformer asks for, and nothing else.
class SafetensorsRecorder : public WeightSource {
 public:
  explicit SafetensorsRecorder(WeightSource& source) : source_(source) {}

  Tensor get(const std::string& name, Shape shape) override {
    const Tensor tensor = source_.get(name, shape);
    Json dims = Json::array(), offsets = Json::array();
    for (int i = 0; i < shape.rank(); ++i) dims.push(shape[i]);
    offsets.push(static_cast<int64_t>(data_.size()));
    data_.append(static_cast<const char*>(tensor.view().data), tensor.view().nbytes());
    offsets.push(static_cast<int64_t>(data_.size()));
    header_.set(name, Json::object().set("dtype", "F32").set("shape", dims).set("data_offsets", offsets));
    return tensor;
  }

  std::string file() const {
    std::string header = header_.dump(-1);
    header.append((8 - header.size() % 8) % 8, ' ');
    const uint64_t length = header.size();
    return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + header + data_;
  }

 private:
  WeightSource& source_;
  Json header_ = Json::object();
  std::string data_;
};

// A Hugging Face folder with config.json, model.safetensors and one of the tokenizers under tests/reference/tokenizer.
inline void write_tiny_model(const std::filesystem::path& folder, const ModelConfig& config, uint64_t seed,
                             const std::string& tokenizer) {
  std::filesystem::create_directories(folder);
  SeededWeights weights(seed);
  SafetensorsRecorder recorder(weights);
  const Transformer transformer(config, recorder, DType::f32);
  write_file(folder / "model.safetensors", recorder.file());
  Json json = Json::object();
  json.set("model_type", config.model_type).set("hidden_size", config.hidden_size);
  json.set("num_hidden_layers", config.num_layers).set("num_attention_heads", config.num_heads);
  json.set("num_key_value_heads", config.num_kv_heads).set("head_dim", config.head_dim);
  json.set("intermediate_size", config.intermediate_size).set("vocab_size", config.vocab_size);
  json.set("max_position_embeddings", config.context_length).set("rms_norm_eps", double{config.rms_norm_eps});
  json.set("rope_theta", config.rope_theta).set("tie_word_embeddings", config.tied_embeddings);
  json.set("eos_token_id", Json::integers(config.eos_token_ids));
  write_file(folder / "config.json", json.dump());
  write_file(folder / "tokenizer.json", read_file("tests/reference/tokenizer/" + tokenizer + "/tokenizer.json"));
}

}  // namespace llm
