#include "common/model/random_weights.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "common/ops/ops.h"

namespace llm {

namespace {

// Shapes from the models' config.json files; those of llama2.c from its checkpoints' headers.
ModelConfig make_shape(const char* name, int hidden, int ffn, int layers, int heads, int kv_heads, int vocab,
                       int context) {
  ModelConfig config;
  config.name = name;
  config.model_type = "llama";
  config.hidden_size = hidden;
  config.intermediate_size = ffn;
  config.num_layers = layers;
  config.num_heads = heads;
  config.num_kv_heads = kv_heads;
  config.head_dim = hidden / heads;
  config.vocab_size = vocab;
  config.context_length = context;
  config.tied_embeddings = true;
  return config;
}

std::vector<ModelConfig> make_shapes() {
  std::vector<ModelConfig> shapes = {
      make_shape("llama2c-15m", 288, 768, 6, 6, 6, 32000, 256),
      make_shape("llama2c-110m", 768, 2048, 12, 12, 12, 32000, 1024),
      make_shape("smollm2-135m", 576, 1536, 30, 9, 3, 49152, 8192),
      make_shape("llama-3.2-1b", 2048, 8192, 16, 32, 8, 128256, 131072),
      make_shape("llama-2-7b", 4096, 11008, 32, 32, 32, 32000, 4096),
      make_shape("llama-3-8b", 4096, 14336, 32, 32, 8, 128256, 8192),
      make_shape("llama-3-70b", 8192, 28672, 80, 64, 8, 128256, 8192),
  };
  shapes[2].rope_theta = 100000.0;
  shapes[3].rope_scaling = {RopeScaling::Kind::llama3, 32.0, 1.0, 4.0, 8192.0};
  for (ModelConfig& shape : shapes) {
    if (shape.name.starts_with("llama-3")) shape.rope_theta = 500000.0;
    if (shape.hidden_size >= 4096) shape.tied_embeddings = false;
  }
  return shapes;
}

// FNV-1a: http://www.isthe.com/chongo/tech/comp/fnv/
uint64_t hash_of(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

class RandomWeights : public WeightSource {
 public:
  explicit RandomWeights(uint64_t seed) : seed_(seed) {}

  Tensor get(const std::string& name, Shape shape) override { return get_on(Device::cpu, name, shape); }

  Tensor get_on(Device device, const std::string& name, Shape shape) override {
    if (name.ends_with("norm.weight")) return to_device(ones(shape), device);
    const Tensor tensor(shape, DType::bf16, device);
    const int64_t columns = std::max<int64_t>(shape[shape.rank() - 1], 1);
    const float range = std::sqrt(3.0f / static_cast<float>(columns));  // uniform in ±range has the variance range² / 3
    const uint64_t key = hash_of(name) ^ seed_ * 0x9e3779b97f4a7c15u;
    ops_for(device).fill_random(tensor.view().reshaped({shape.numel() / columns, columns}), key, range);
    return tensor;
  }

 private:
  static Tensor ones(Shape shape) {
    const Tensor tensor(shape, DType::bf16);
    std::fill_n(tensor.view().as<bf16>(), shape.numel(), to_bf16(1.0f));
    return tensor;
  }

  uint64_t seed_;
};

}  // namespace

std::vector<std::string> random_shape_names() {
  std::vector<std::string> names;
  for (const ModelConfig& shape : make_shapes()) names.push_back(shape.name);
  return names;
}

ModelConfig random_shape(const std::string& name) {
  std::string known;
  for (ModelConfig& shape : make_shapes()) {
    if (shape.name == name) return shape;
    known += (known.empty() ? "" : ", ") + shape.name;
  }
  fail_input("--model random:{}: no such shape; give one of {}", name, known);
}

std::shared_ptr<WeightSource> make_random_weights(uint64_t seed) { return std::make_shared<RandomWeights>(seed); }

}  // namespace llm
