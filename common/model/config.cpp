#include "common/model/config.h"

#include <algorithm>

#include "common/error.h"
#include "common/json/json.h"

namespace llm {

namespace {

// Bounds far above any model of these families, under which no product of sizes overflows and the RoPE table stays
// within a gibibyte.
constexpr int64_t kMaxWidth = 1 << 20;
constexpr int64_t kMaxLayers = 4096;
constexpr int64_t kMaxHeads = 4096;
constexpr int64_t kMaxHeadDim = 256;
constexpr int64_t kMaxVocab = 1 << 24;
constexpr int64_t kMaxContext = 1 << 20;

int size_at(const Json& json, std::string_view key, int64_t max) {
  return static_cast<int>(json.at(key).integer(1, max));
}

bool flag_at(const Json& json, std::string_view key) { return json.has(key) && json.at(key).boolean(); }

// Whether the key stands there at all, if only with the value null.
bool mentions(const Json& json, std::string_view key) {
  bool found = false;
  json.for_each_item([&](const std::string& name, const Json&) { found = found || name == key; });
  return found;
}

std::string read_model_type(const Json& json) {
  const std::string type = json.at("model_type").string();
  for (const char* known : {"llama", "mistral", "qwen2", "qwen3"}) {
    if (type == known) return type;
  }
  json.at("model_type")
      .fail(fmt::format("is \"{}\", which is not supported; give a model of the type llama, mistral, qwen2 or qwen3",
                        type));
}

void refuse_what_is_not_built(const Json& json, const ModelConfig& config) {
  if (json.has("quantization_config")) {
    json.at("quantization_config")
        .fail("asks for quantized weights, which are not supported; give the model's F32, BF16 or F16 weights");
  }
  if (json.has("hidden_act") && json.at("hidden_act").string() != "silu") {
    json.at("hidden_act")
        .fail(fmt::format("is \"{}\", which is not supported; give a model whose activation is silu",
                          json.at("hidden_act").string()));
  }
  if (config.model_type != "qwen2" && flag_at(json, "attention_bias")) {
    json.at("attention_bias")
        .fail("is true, a bias on the attention's output too, which is not supported; give a model without it");
  }
  if (flag_at(json, "mlp_bias")) {
    json.at("mlp_bias").fail("is true, which is not supported; give a model without biases in its feed-forward layers");
  }
}

void read_heads(const Json& json, ModelConfig& config) {
  config.num_heads = size_at(json, "num_attention_heads", kMaxHeads);
  config.num_kv_heads =
      json.has("num_key_value_heads") ? size_at(json, "num_key_value_heads", kMaxHeads) : config.num_heads;
  if (config.num_heads % config.num_kv_heads != 0) {
    json.at("num_key_value_heads")
        .fail(fmt::format("is {}, but must divide num_attention_heads, which is {}", config.num_kv_heads,
                          config.num_heads));
  }

  if (json.has("head_dim")) {
    config.head_dim = size_at(json, "head_dim", kMaxHeadDim);
    if (config.head_dim % 2 != 0) {
      json.at("head_dim").fail(fmt::format("is {}, but must be even: RoPE turns pairs of dimensions", config.head_dim));
    }
    return;
  }
  config.head_dim = config.model_type == "qwen3" ? 128 : config.hidden_size / config.num_heads;
  const bool divides = config.model_type == "qwen3" || config.hidden_size % config.num_heads == 0;
  if (!divides || config.head_dim == 0 || config.head_dim % 2 != 0 || config.head_dim > kMaxHeadDim) {
    json.at("hidden_size")
        .fail(
            fmt::format("is {} and num_attention_heads {}, but without head_dim the first must be an even multiple of "
                        "the second, at most {} times as large",
                        config.hidden_size, config.num_heads, kMaxHeadDim));
  }
}

// Older files have rope_scaling, null or an object, and rope_theta beside it; newer ones one object, rope_parameters.
// Where both stand, transformers takes rope_scaling, and its rope_theta before the one outside.
void read_rope(const Json& json, ModelConfig& config) {
  const bool scaled = json.has("rope_scaling") && json.at("rope_scaling").size() > 0;
  const Json rope = scaled                        ? json.at("rope_scaling")
                    : json.has("rope_parameters") ? json.at("rope_parameters")
                                                  : Json::object();
  rope.for_each_item([](const std::string&, const Json& value) {
    if (value.is_object())
      value.fail("differs from layer to layer, which is not supported; give a model with one RoPE");
  });
  for (const Json& place : {rope, json}) {
    if (place.has("partial_rotary_factor") && place.at("partial_rotary_factor").number() != 1.0) {
      place.at("partial_rotary_factor").fail("is not 1, which is not supported; give a model that rotates whole heads");
    }
  }
  const Json& theta = rope.has("rope_theta") ? rope : json;
  if (theta.has("rope_theta")) config.rope_theta = theta.at("rope_theta").number(1.0, 1e12);

  const char* type_key = rope.has("rope_type") ? "rope_type" : "type";
  const std::string type = rope.has(type_key) ? rope.at(type_key).string() : "default";
  RopeScaling& scaling = config.rope_scaling;
  if (type == "default") return;
  if (type != "linear" && type != "llama3") {
    rope.at(type_key).fail(fmt::format(
        "is \"{}\", which is not supported; give a model whose RoPE is of the type default, linear or llama3", type));
  }
  scaling.factor = rope.at("factor").number(1.0, 1e6);
  scaling.kind = type == "linear" ? RopeScaling::Kind::linear : RopeScaling::Kind::llama3;
  if (scaling.kind == RopeScaling::Kind::linear) return;
  scaling.low_freq_factor = rope.at("low_freq_factor").number(1e-6, 1e6);
  scaling.high_freq_factor = rope.at("high_freq_factor").number(1e-6, 1e6);
  if (scaling.low_freq_factor >= scaling.high_freq_factor) {
    rope.at("high_freq_factor")
        .fail(fmt::format("is {}, but must be larger than low_freq_factor, which is {}", scaling.high_freq_factor,
                          scaling.low_freq_factor));
  }
  const char* original = "original_max_position_embeddings";
  scaling.original_context =
      rope.has(original) ? size_at(rope, original, kMaxContext) : size_at(json, "max_position_embeddings", kMaxContext);
}

// Whether any layer has a sliding window. Qwen models say for which layers.
bool uses_sliding_window(const Json& json, const ModelConfig& config) {
  if (config.model_type == "mistral") return json.has("sliding_window") || !mentions(json, "sliding_window");
  if (config.model_type == "llama" || !flag_at(json, "use_sliding_window")) return false;
  if (mentions(json, "sliding_window") && !json.has("sliding_window")) return false;
  if (!json.has("layer_types")) {
    const int64_t full = json.has("max_window_layers") ? json.at("max_window_layers").integer(0, kMaxWidth) : 28;
    return full < config.num_layers;
  }
  bool sliding = false;
  json.at("layer_types").for_each([&](const Json& type) {
    if (type.string() != "full_attention" && type.string() != "sliding_attention") {
      type.fail(fmt::format("is \"{}\", which is not supported; give a model of full_attention and sliding_attention",
                            type.string()));
    }
    sliding = sliding || type.string() == "sliding_attention";
  });
  return sliding;
}

// Within the window attention is exact, so a shorter window shortens the context.
void read_context(const Json& json, ModelConfig& config) {
  config.context_length = size_at(json, "max_position_embeddings", kMaxContext);
  if (!uses_sliding_window(json, config)) return;
  // 4096 is what transformers takes where nothing is said
  config.sliding_window = json.has("sliding_window") ? size_at(json, "sliding_window", kMaxWidth) : 4096;
  config.context_length = std::min(config.context_length, config.sliding_window);
}

void add_eos_ids(const Json& json, ModelConfig& config) {
  if (!json.has("eos_token_id")) return;
  const Json ids = json.at("eos_token_id");
  const auto add = [&](const Json& id) {
    const auto value = static_cast<int32_t>(id.integer(0, config.vocab_size - 1));
    auto& all = config.eos_token_ids;
    if (std::find(all.begin(), all.end(), value) == all.end()) all.push_back(value);
  };
  if (ids.is_array()) {
    ids.for_each(add);
  } else {
    add(ids);
  }
}

}  // namespace

ModelConfig ModelConfig::load(const std::filesystem::path& folder) {
  const Json json = Json::parse_file(folder / "config.json");
  ModelConfig config;
  std::error_code error;
  config.name = std::filesystem::weakly_canonical(folder, error).filename().string();
  config.model_type = read_model_type(json);
  refuse_what_is_not_built(json, config);
  config.hidden_size = size_at(json, "hidden_size", kMaxWidth);
  config.num_layers = size_at(json, "num_hidden_layers", kMaxLayers);
  config.intermediate_size = size_at(json, "intermediate_size", kMaxWidth);
  config.vocab_size = size_at(json, "vocab_size", kMaxVocab);
  read_heads(json, config);
  read_rope(json, config);
  read_context(json, config);
  config.rms_norm_eps =
      json.has("rms_norm_eps") ? static_cast<float>(json.at("rms_norm_eps").number(1e-12, 1.0)) : 1e-6f;
  config.attention_bias = config.model_type == "qwen2";
  config.qk_norm = config.model_type == "qwen3";
  config.tied_embeddings = flag_at(json, "tie_word_embeddings");

  add_eos_ids(json, config);
  const std::filesystem::path generation = folder / "generation_config.json";
  if (std::filesystem::exists(generation, error)) add_eos_ids(Json::parse_file(generation), config);
  return config;
}

int64_t ModelConfig::num_parameters() const {
  const int64_t hidden = hidden_size, qkv = qkv_size(), attended = int64_t{num_heads} * head_dim;
  const int64_t matrices = hidden * (qkv + attended + 3 * int64_t{intermediate_size});
  const int64_t norms = 2 * hidden + (qk_norm ? 2 * head_dim : 0);
  const int64_t biases = attention_bias ? qkv : 0;
  return num_layers * (matrices + norms + biases) + hidden + (tied_embeddings ? 1 : 2) * vocab_size * hidden;
}

int64_t ModelConfig::kv_bytes_per_token(size_t bytes_per_number) const {
  return int64_t{2} * num_layers * num_kv_heads * head_dim * static_cast<int64_t>(bytes_per_number);
}

}  // namespace llm
