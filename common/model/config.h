// The shape of a model, from a Hugging Face config.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace llm {

// How rotary frequencies are stretched for contexts longer than the model was first trained on.
struct RopeScaling {
  enum class Kind { none, linear, llama3 };
  Kind kind = Kind::none;
  double factor = 1.0;
  // llama3 only: wavelengths below original_context / high_freq_factor stay, those above original_context /
  // low_freq_factor are stretched by `factor`, and those between are blended.
  double low_freq_factor = 1.0, high_freq_factor = 4.0;
  double original_context = 8192.0;
};

struct ModelConfig {
  std::string name;        // the folder's name, or the random shape's
  std::string model_type;  // "llama", "mistral", "qwen2", "qwen3"
  int hidden_size = 0;
  int num_layers = 0;
  int num_heads = 0;
  int num_kv_heads = 0;  // divides num_heads
  int head_dim = 0;      // even
  int intermediate_size = 0;
  int vocab_size = 0;
  int context_length = 0;  // positions the model can use; a sliding window shorter than the model's context caps it
  int sliding_window = 0;  // 0: none. Where it is less than max_position_embeddings, context_length equals it
  float rms_norm_eps = 1e-5f;
  double rope_theta = 10000.0;
  RopeScaling rope_scaling;
  bool attention_bias = false;  // a bias on Q, K and V (Qwen2)
  bool qk_norm = false;         // RMSNorm of each head's query and key (Qwen3)
  bool tied_embeddings = false;
  std::vector<int32_t> eos_token_ids;  // from config.json and, where there is one, generation_config.json

  int qkv_size() const { return (num_heads + 2 * num_kv_heads) * head_dim; }
  int64_t num_parameters() const;  // what is stored: a tied embedding counts once
  // 2 (K and V) · layers · kv heads · head_dim · bytes of one number
  int64_t kv_bytes_per_token(size_t bytes_per_number) const;

  // Reads and checks `folder`/config.json. Throws InputError for what is absent, absurd or not supported.
  static ModelConfig load(const std::filesystem::path& folder);
};

}  // namespace llm
