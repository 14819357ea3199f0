// A small model folder whose every field a test may change before it is written: healthy, or damaged.
#pragma once

#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/error.h"
#include "common/json/json.h"
#include "common/tensor/dtype.h"

namespace llm {

// One tensor of a header, its fields as JSON text so that a test can write any nonsense there.
struct HeaderEntry {
  std::string name, dtype, shape, data_offsets;
};

struct EditableModel {
  Json config = Json::parse(R"({"model_type": "llama", "hidden_size": 8, "num_hidden_layers": 1, "vocab_size": 10,
                                "num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 6,
                                "max_position_embeddings": 16, "hidden_act": "silu"})",
                            "tiny");
  std::vector<HeaderEntry> entries;
  std::string data;
  std::string metadata = R"("__metadata__": {"format": "pt"})";

  EditableModel() {
    add("model.embed_tokens.weight", {10, 8});
    const std::string layer = "model.layers.0.";
    add(layer + "input_layernorm.weight", {8});
    add(layer + "self_attn.q_proj.weight", {8, 8});
    add(layer + "self_attn.k_proj.weight", {4, 8});
    add(layer + "self_attn.v_proj.weight", {4, 8});
    add(layer + "self_attn.o_proj.weight", {8, 8});
    add(layer + "post_attention_layernorm.weight", {8});
    add(layer + "mlp.gate_proj.weight", {6, 8});
    add(layer + "mlp.up_proj.weight", {6, 8});
    add(layer + "mlp.down_proj.weight", {8, 6});
    add("model.norm.weight", {8});
    add("lm_head.weight", {10, 8});
  }

  // An f32 tensor of the numbers 0, 1/64, 2/64, ...
  void add(const std::string& name, const std::vector<int64_t>& dims) {
    const size_t begin = data.size();
    size_t numel = 1;
    std::string shape;
    for (const int64_t dim : dims) {
      numel *= static_cast<size_t>(dim);
      shape += fmt::format("{}{}", shape.empty() ? "" : ",", dim);
    }
    for (size_t i = 0; i < numel; ++i) {
      const float value = static_cast<float>(i) / 64.0f;
      data.append(reinterpret_cast<const char*>(&value), sizeof(value));
    }
    entries.push_back({name, "\"F32\"", "[" + shape + "]", fmt::format("[{},{}]", begin, data.size())});
  }

  HeaderEntry& entry(const std::string& name) {
    for (HeaderEntry& candidate : entries) {
      if (candidate.name == name) return candidate;
    }
    throw std::logic_error("no entry " + name);
  }

  std::string header() const {
    std::string text = "{" + metadata;
    for (const HeaderEntry& e : entries) {
      text += fmt::format(R"(, "{}": {{"dtype": {}, "shape": {}, "data_offsets": {}}})", e.name, e.dtype, e.shape,
                          e.data_offsets);
    }
    return text + "}";
  }

  // A file with this header, in which nothing is checked.
  static std::string file(const std::string& header, const std::string& data) {
    const uint64_t length = header.size();
    return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + header + data;
  }

  // Spaces after the header put the data at an address that is a multiple of 8, plus `shift`.
  std::string file(size_t shift = 0) const {
    std::string padded = header();
    padded.append((8 - padded.size() % 8) % 8 + shift, ' ');
    return file(padded, data);
  }

  void write(const std::filesystem::path& folder) const {
    write_file(folder / "config.json", config.dump());
    write_file(folder / "model.safetensors", file());
  }
};

}  // namespace llm
