#include "common/model/random_weights.h"

#include <array>
#include <bit>
#include <cmath>
#include <string_view>

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

// A good mixing of 32 bits, with two multiplications: Wellons, "Prospecting for Hash Functions", 2018.
uint32_t mix32(uint32_t x) {
  x = (x ^ (x >> 16)) * 0x7feb352du;
  x = (x ^ (x >> 15)) * 0x846ca68bu;
  return x ^ (x >> 16);
}

// FNV-1a: http://www.isthe.com/chongo/tech/comp/fnv/
uint64_t hash_of(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

// Each number is a hash of its place, so any thread can make any of them and loops run in vector registers.
class RandomWeights : public WeightSource {
 public:
  explicit RandomWeights(uint64_t seed) : seed_(seed) {}

  Tensor get(const std::string& name, Shape shape) override {
    Tensor tensor(shape, DType::bf16);
    const TensorView view = tensor;
    const int64_t columns = std::max<int64_t>(view.dim(shape.rank() - 1), 1), rows = view.numel() / columns;
    const float range = std::sqrt(3.0f / static_cast<float>(columns));  // uniform in ±range has the variance range² / 3
    const float scale = range * 0x1p-31f;
    const uint64_t key = hash_of(name) ^ seed_ * 0x9e3779b97f4a7c15u;
    const bool ones = std::string_view(name).ends_with("norm.weight");
#pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < rows; ++row) {
      const auto row_index = static_cast<uint64_t>(row);
      const uint32_t row_key = mix32(static_cast<uint32_t>(key >> 32) ^ mix32(static_cast<uint32_t>(key + row_index)));
      bf16* out = view.as<bf16>() + row * columns;
      for (int64_t i = 0; i < columns; ++i) {
        const auto bits = static_cast<int32_t>(mix32(row_key + static_cast<uint32_t>(i)));
        out[i] = ones ? to_bf16(1.0f) : to_bf16(static_cast<float>(bits) * scale);
      }
    }
    return tensor;
  }

 private:
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
