#include "chapters/05_grouped_query_attention/known_models.h"

#include "common/model/random_weights.h"

namespace llm {

namespace {

ModelConfig heads_of(const char* name, int layers, int heads, int kv_heads, int head_dim) {
  ModelConfig config;
  config.name = name;
  config.num_layers = layers;
  config.num_heads = heads;
  config.num_kv_heads = kv_heads;
  config.head_dim = head_dim;
  return config;
}

}  // namespace

std::vector<ModelConfig> known_models() {
  return {random_shape("llama-2-7b"),          heads_of("mistral-7b", 32, 32, 8, 128),
          random_shape("llama-3-8b"),          heads_of("qwen2-7b", 28, 28, 4, 128),
          random_shape("llama-3.2-1b"),        random_shape("smollm2-135m"),
          random_shape("llama-3-70b"),         heads_of("gemma-2b", 18, 8, 1, 256),
          heads_of("falcon-7b", 32, 71, 1, 64)};
}

}  // namespace llm
