// Broken and hostile model folders: each is refused in one sentence that names the file, and none does harm.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <functional>
#include <random>

#include "common/model/safetensors.h"
#include "common/model/transformer.h"
#include "tests/common/model/editable_model.h"
#include "tests/support/sentence_of.h"
#include "tests/support/temporary_folder.h"

namespace llm {
namespace {

const std::string kLoaded = "(no error)";

// Loads the folder all the way; the sentence that says why it can't be.
std::string load(const std::filesystem::path& folder) {
  return sentence_of([&] {
    const ModelConfig config = ModelConfig::load(folder);
    SafetensorsFolder weights(folder);
    const Transformer transformer(config, weights, DType::f32);
  });
}

void expect_refusal(const std::filesystem::path& folder, const std::string& file, const std::string& fragment) {
  const std::string sentence = load(folder);
  EXPECT_NE(sentence.find((folder / file).string()), std::string::npos) << sentence;
  EXPECT_NE(sentence.find(fragment), std::string::npos) << sentence << "\nlacks: " << fragment;
  EXPECT_EQ(sentence.find('\n'), std::string::npos) << sentence;
}

TEST(DamagedModel, TheHealthyOneLoads) {
  const auto folder = temporary_folder();
  EditableModel().write(folder);
  EXPECT_EQ(load(folder), kLoaded);
}

TEST(DamagedModel, Config) {
  const struct {
    const char *key, *value, *fragment;
  } cases[] = {
      {"model_type", R"("mixtral")",
       "model_type is \"mixtral\", which is not supported; give a model of the type llama"},
      {"model_type", "7", "model_type is 7, but must be a string"},
      {"model_type", "null", "model_type is null, but must be a string"},
      {"hidden_size", "0", "hidden_size is 0, but must be an integer from 1 to"},
      {"hidden_size", "-8", "hidden_size is -8, but must be an integer from 1 to"},
      {"hidden_size", "1e18", "hidden_size is 1e+18, but must be an integer from 1 to"},
      {"hidden_size", "8.5", "hidden_size is 8.5, but must be an integer from 1 to"},
      {"hidden_size", "9", "hidden_size is 9 and num_attention_heads 2, but without head_dim"},
      {"hidden_size", "6", "hidden_size is 6 and num_attention_heads 2, but without head_dim"},
      {"hidden_size", "1", "hidden_size is 1 and num_attention_heads 2, but without head_dim"},
      {"hidden_size", "1048576", "hidden_size is 1048576 and num_attention_heads 2, but without head_dim"},
      {"num_hidden_layers", "9223372036854775807", "num_hidden_layers is 9223372036854775807, but must be"},
      {"num_hidden_layers", "18446744073709551616", "num_hidden_layers is 1.84467"},
      {"vocab_size", "\"10\"", "vocab_size is \"10\", but must be an integer"},
      {"vocab_size", "2147483648", "vocab_size is 2147483648, but must be an integer"},
      {"intermediate_size", "[6]", "intermediate_size is an array, but must be an integer"},
      {"num_attention_heads", "0", "num_attention_heads is 0, but must be an integer from 1 to"},
      {"num_key_value_heads", "3", "num_key_value_heads is 3, but must divide num_attention_heads, which is 2"},
      {"num_key_value_heads", "4", "num_key_value_heads is 4, but must divide num_attention_heads, which is 2"},
      {"num_key_value_heads", "0", "num_key_value_heads is 0, but must be an integer from 1 to"},
      {"head_dim", "5", "head_dim is 5, but must be even"},
      {"head_dim", "1000000", "head_dim is 1000000, but must be an integer from 1 to"},
      {"max_position_embeddings", "10000000", "max_position_embeddings is 10000000, but must be an integer from 1 to"},
      {"max_position_embeddings", "0", "max_position_embeddings is 0, but must be an integer from 1 to"},
      {"rms_norm_eps", "0", "rms_norm_eps is 0, but must be a number from"},
      {"rms_norm_eps", "\"small\"", "rms_norm_eps is \"small\", but must be a number from"},
      {"rope_theta", "0.5", "rope_theta is 0.5, but must be a number from 1 to"},
      {"rope_theta", "-1", "rope_theta is -1, but must be a number from 1 to"},
      {"hidden_act", R"("gelu")", "hidden_act is \"gelu\", which is not supported"},
      {"attention_bias", "true", "attention_bias is true"},
      {"mlp_bias", "true", "mlp_bias is true"},
      {"mlp_bias", "1", "mlp_bias is 1, but must be true or false"},
      {"quantization_config", R"({"bits": 4})", "quantization_config asks for quantized weights"},
      {"tie_word_embeddings", "\"no\"", "tie_word_embeddings is \"no\", but must be true or false"},
      {"eos_token_id", "10", "eos_token_id is 10, but must be an integer from 0 to 9"},
      {"eos_token_id", "-1", "eos_token_id is -1, but must be an integer from 0 to 9"},
      {"eos_token_id", "[2, 11]", "eos_token_id[1] is 11, but must be an integer from 0 to 9"},
      {"eos_token_id", "{}", "eos_token_id is an object, but must be an integer"},
      {"partial_rotary_factor", "0.5", "partial_rotary_factor is not 1"},
      {"rope_scaling", "3", "rope_scaling must be an"},
      {"rope_scaling", R"({"type": "dynamic", "factor": 2.0})",
       "rope_scaling.type is \"dynamic\", which is not supported"},
      {"rope_scaling", R"({"rope_type": "yarn", "factor": 2.0})", "rope_scaling.rope_type is \"yarn\", which is not"},
      {"rope_scaling", R"({"rope_type": "longrope"})", "rope_scaling.rope_type is \"longrope\", which is not"},
      {"rope_scaling", R"({"type": "linear"})", "rope_scaling lacks the field \"factor\""},
      {"rope_scaling", R"({"type": "linear", "factor": 0})",
       "rope_scaling.factor is 0, but must be a number from 1 to"},
      {"rope_scaling", R"({"rope_type": "llama3", "factor": 8})", "rope_scaling lacks the field \"low_freq_factor\""},
      {"rope_scaling", R"({"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4})",
       "rope_scaling.high_freq_factor is 4, but must be larger than low_freq_factor, which is 4"},
      {"rope_parameters", R"({"rope_type": "ntk"})", "rope_parameters.rope_type is \"ntk\", which is not supported"},
      {"rope_parameters", R"({"full_attention": {"rope_theta": 10000}})",
       "rope_parameters.full_attention differs from"},
      {"rope_parameters", R"({"rope_theta": 0})", "rope_parameters.rope_theta is 0, but must be a number from 1 to"},
  };
  const auto folder = temporary_folder();
  for (const auto& [key, value, fragment] : cases) {
    SCOPED_TRACE(fmt::format("{}: {}", key, value));
    EditableModel model;
    model.config.set(key, Json::parse(value, "case"));
    model.write(folder);
    expect_refusal(folder, "config.json", fragment);
  }
  const struct {
    const char *text, *fragment;
  } texts[] = {
      {"", "not valid JSON"},
      {"{\"model_type\": \"llama\", \"hidden", "not valid JSON"},
      {"[]", "must be an object"},
      {"{}", "lacks the field \"model_type\""},
      {"{\"model_type\": \"llama\"}", "lacks the field \"hidden_size\""},
  };
  for (const auto& [text, fragment] : texts) {
    SCOPED_TRACE(text);
    write_file(folder / "config.json", text);
    expect_refusal(folder, "config.json", fragment);
  }
}

TEST(DamagedModel, SlidingWindowAndGenerationConfig) {
  const auto folder = temporary_folder();
  EditableModel model;
  model.config.set("model_type", "mistral").set("sliding_window", 0);
  model.write(folder);
  expect_refusal(folder, "config.json", "sliding_window is 0, but must be an integer from 1 to");

  model = EditableModel();
  model.config.set("model_type", "qwen2").set("use_sliding_window", true);
  model.config.set("layer_types", Json::array().push("linear_attention"));
  model.write(folder);
  expect_refusal(folder, "config.json", "layer_types[0] is \"linear_attention\", which is not supported");

  EditableModel().write(folder);
  write_file(folder / "generation_config.json", "{\"eos_token_id\": [1, 99]}");
  expect_refusal(folder, "generation_config.json", "eos_token_id[1] is 99, but must be an integer from 0 to 9");
  write_file(folder / "generation_config.json", "{");
  expect_refusal(folder, "generation_config.json", "not valid JSON");
}

TEST(DamagedModel, SafetensorsHeader) {
  const std::string q = "model.layers.0.self_attn.q_proj.weight", norm = "model.norm.weight", head = "lm_head.weight";
  using Damage = std::function<void(EditableModel&)>;
  const auto shape = [](const std::string& name, const char* text) -> Damage {
    return [=](EditableModel& model) { model.entry(name).shape = text; };
  };
  const auto offsets = [](const std::string& name, const char* text) -> Damage {
    return [=](EditableModel& model) { model.entry(name).data_offsets = text; };
  };
  const auto dtype = [](const std::string& name, const char* text) -> Damage {
    return [=](EditableModel& model) { model.entry(name).dtype = text; };
  };
  const struct {
    const char* name;
    Damage damage;
    std::string fragment;
  } cases[] = {
      {"a tensor is missing", [&](EditableModel& m) { m.entry(norm).name = "x"; },
       "lacks the tensor model.norm.weight, which"},
      {"the output matrix is missing", [&](EditableModel& m) { m.entry(head).name = "x"; },
       "lacks the tensor lm_head.weight"},
      {"another shape", shape(q, "[4, 16]"), q + ".shape is [4, 16], but config.json asks for [8, 8]"},
      {"another rank", shape(q, "[64]"), q + ".shape is [64], but config.json asks for [8, 8]"},
      {"a rank above four", shape(q, "[2, 2, 2, 2, 2, 2]"), q + ".shape is [2, 2, 2, 2, 2, 2], but config.json asks"},
      {"a negative size", shape(q, "[-8, -8]"), q + ".shape[0] is -8, but must be an integer"},
      {"a fractional size", shape(q, "[8.5, 8]"), q + ".shape[0] is 8.5, but must be an integer"},
      {"an overflowing shape", shape(q, "[4294967296, 4294967296]"), q + ".shape is larger than any file"},
      {"a shape that overflows to its size", shape(q, "[2305843009213693960, 8]"),
       q + ".shape is larger than any file"},
      {"a shape of another size", shape(q, "[8, 9]"),
       q + ".data_offsets span 256 bytes, but shape and dtype ask for 288"},
      {"a shape of none", shape(q, "[0, 8]"), q + ".data_offsets span 256 bytes, but shape and dtype ask for 0"},
      {"a shape that is a number", shape(q, "64"), q + ".shape must be an array"},
      {"64-bit numbers", dtype(norm, "\"F64\""), norm + ".data_offsets span 32 bytes, but shape and dtype ask for 64"},
      {"integers", dtype(norm, "\"I32\""), norm + ".dtype is I32, which is not supported"},
      {"8-bit numbers",
       [&](EditableModel& m) {
         m.entry(head).dtype = "\"F8_E4M3\"";
         m.data.resize(m.data.size() - 240);
         m.entry(head).data_offsets = fmt::format("[{},{}]", m.data.size() - 80, m.data.size());
       },
       head + ".dtype is F8_E4M3, which is not supported"},
      {"an unknown dtype", dtype(norm, "\"Q4_K\""), norm + ".dtype is Q4_K, which is not supported"},
      {"a dtype that is a number", dtype(norm, "32"), norm + ".dtype is 32, but must be a string"},
      {"offsets that run backwards", offsets(q, "[608, 352]"), q + ".data_offsets end before they begin (608 > 352)"},
      {"negative offsets", offsets(q, "[-256, 0]"), q + ".data_offsets[0] is -256, but must be an integer"},
      {"offsets beyond the file", offsets(q, "[352, 99999999]"),
       q + ".data_offsets end at byte 99999999, but the file"},
      {"offsets beyond every file", offsets(q, "[9223372036854775551, 9223372036854775807]"), "but the file holds"},
      {"offsets too large to be integers", offsets(q, "[0, 18446744073709551615]"),
       ".data_offsets[1] is 18446744073709551615"},
      {"one offset", offsets(q, "[352]"), q + ".data_offsets must be two integers"},
      {"three offsets", offsets(q, "[352, 608, 608]"), q + ".data_offsets must be two integers"},
      {"offsets that are text", offsets(q, "\"ab\""), q + ".data_offsets must be two integers"},
      {"overlapping tensors", offsets(q, "[348, 604]"), q + ".data_offsets begin at byte 348, overlapping byte 352"},
      {"two tensors in one place", offsets("model.layers.0.self_attn.k_proj.weight", "[736, 864]"),
       "leaving a hole after"},
      {"a hole before the first", offsets("model.embed_tokens.weight", "[320, 640]"), "data_offsets begin at byte"},
      {"a hole between tensors",
       [&](EditableModel& m) {
         m.data += "12345678";
         m.entry(head).data_offsets = fmt::format("[{},{}]", m.data.size() - 320, m.data.size());
       },
       head + ".data_offsets begin at byte 1768, leaving a hole after byte 1760"},
      {"bytes after the last tensor", [](EditableModel& m) { m.data += "1234"; },
       "data_offsets of the last tensor end at byte"},
      {"a name that stands twice", [&](EditableModel& m) { m.entry(norm).name = q; }, "stands twice in one object"},
      {"metadata twice", [](EditableModel& m) { m.metadata += ", " + m.metadata; }, "stands twice in one object"},
      {"a header without the field dtype",
       [&](EditableModel& m) { m.metadata = R"("a": {"shape": [], "data_offsets": [0, 0]})"; },
       "a lacks the field \"dtype\""},
      {"a header without the field shape", [&](EditableModel& m) { m.metadata = R"("a": {"dtype": "F32"})"; },
       "a lacks the field \"shape\""},
      {"a header without the field data_offsets",
       [&](EditableModel& m) { m.metadata = R"("a": {"dtype": "F32", "shape": []})"; },
       "a lacks the field \"data_offsets\""},
      {"an entry that is a number", [&](EditableModel& m) { m.metadata = R"("a": 1)"; }, "a must be an object"},
  };
  const auto folder = temporary_folder();
  for (const auto& [name, damage, fragment] : cases) {
    SCOPED_TRACE(name);
    EditableModel model;
    damage(model);
    model.write(folder);
    expect_refusal(folder, "model.safetensors", fragment);
  }
}

TEST(DamagedModel, SafetensorsFile) {
  const EditableModel model;
  const std::string whole = model.file(), data = model.data, header = model.header();
  const auto with_length = [&](uint64_t length) {
    std::string text = whole;
    std::memcpy(text.data(), &length, sizeof(length));
    return text;
  };
  const struct {
    const char* name;
    std::string text;
    const char* fragment;
  } cases[] = {
      {"empty", "", "holds 0 bytes, too few"},
      {"shorter than the length", whole.substr(0, 7), "holds 7 bytes, too few"},
      {"nothing but the length", whole.substr(0, 8), "holds 8 bytes, too few"},
      {"cut inside the header", whole.substr(0, 100), "header's length is"},
      {"cut inside the data", whole.substr(0, whole.size() - 1), "it is cut short"},
      {"cut after the header", whole.substr(0, whole.size() - data.size()), "it is cut short"},
      {"a header of no bytes", with_length(0), "header's length is 0, but must be from 1 to"},
      {"a header longer than the file", with_length(whole.size()), "header's length is"},
      {"a header of 2^64 - 1 bytes", with_length(~uint64_t{0}), "header's length is 18446744073709551615, but must be"},
      {"a header of 2^63 bytes", with_length(uint64_t{1} << 63), "header's length is 9223372036854775808, but must be"},
      {"a header that ends early", with_length(header.size() / 2), "not valid JSON"},
      {"a header that is no JSON", EditableModel::file("hello, world", data), "not valid JSON"},
      {"a header that is no UTF-8", EditableModel::file("{\"\xff\": 1}", data), "not valid JSON"},
      {"a header that is a list", EditableModel::file("[]", data), "must be an object"},
      {"a header of brackets", EditableModel::file(std::string(100000, '['), data), "nested deeper than"},
      {"a header without tensors", EditableModel::file("{}", data),
       "the last tensor end at byte 0, but the file holds"},
      {"nothing at all in the header", EditableModel::file("{}", ""), "lacks the tensor model.embed_tokens.weight"},
  };
  const auto folder = temporary_folder();
  model.write(folder);
  for (const auto& [name, text, fragment] : cases) {
    SCOPED_TRACE(name);
    write_file(folder / "model.safetensors", text);
    expect_refusal(folder, "model.safetensors", fragment);
  }
}

TEST(DamagedModel, EveryCutIsRefused) {
  const auto folder = temporary_folder();
  const EditableModel model;
  model.write(folder);
  const std::string whole = model.file();
  for (size_t size = 0; size < whole.size(); size += 13) {
    write_file(folder / "model.safetensors", whole.substr(0, size));
    expect_refusal(folder, "model.safetensors", "");
  }
}

// Any three bytes of the header or the config changed: either the model still loads, or a sentence says why not.
TEST(DamagedModel, RandomDamageDoesNoHarm) {
  const auto folder = temporary_folder();
  const EditableModel model;
  const std::string weights = model.file(), config = model.config.dump();
  const size_t header_end = weights.size() - model.data.size();
  std::mt19937 random(1);
  const auto damaged = [&](std::string text, size_t size) {
    for (int i = 0; i < 3; ++i) text[random() % size] = "0123456789[]{}\",:-.eF\0\xff"[random() % 24];
    return text;
  };
  int refused = 0;
  for (int trial = 0; trial < 400; ++trial) {
    const bool in_config = trial % 2 == 0;
    write_file(folder / "config.json", in_config ? damaged(config, config.size()) : config);
    write_file(folder / "model.safetensors", in_config ? weights : damaged(weights, header_end));
    const std::string sentence = load(folder);
    if (sentence == kLoaded) continue;
    ++refused;
    EXPECT_NE(sentence.find(folder.string()), std::string::npos) << sentence;
  }
  EXPECT_GT(refused, 200);
}

TEST(DamagedModel, WhatIsNotAFile) {
  const auto folder = temporary_folder();
  EditableModel().write(folder);
  std::filesystem::remove(folder / "model.safetensors");
  EXPECT_NE(load(folder).find("has neither model.safetensors nor model.safetensors.index.json"), std::string::npos);
  std::filesystem::create_directory(folder / "model.safetensors");
  expect_refusal(folder, "model.safetensors", "is not a file");
  std::filesystem::remove(folder / "model.safetensors");
  ASSERT_EQ(mkfifo((folder / "model.safetensors").c_str(), 0600), 0);
  expect_refusal(folder, "model.safetensors", "is not a file");
  EXPECT_NE(load(folder / "absent").find("config.json: no such file"), std::string::npos);
}

TEST(DamagedModel, Index) {
  const std::string norm = "model.norm.weight";
  const auto index_with = [&](const std::string& shard) {  // all tensors in shard.safetensors, but one
    Json map = Json::object();
    for (const HeaderEntry& entry : EditableModel().entries) map.set(entry.name, "shard.safetensors");
    map.set(norm, shard);
    return Json::object().set("weight_map", map).dump();
  };
  const struct {
    const char* name;
    std::string text;
    std::string fragment;
  } cases[] = {
      {"not JSON", "{", "not valid JSON"},
      {"a list", "[]", "must be an object"},
      {"no map", "{}", "lacks the field \"weight_map\""},
      {"a map that is a list", R"({"weight_map": []})", "weight_map must be an object"},
      {"an empty map", R"({"weight_map": {}})", "lacks the tensor model.embed_tokens.weight"},
      {"a shard that is a number", R"({"weight_map": {"a": 1}})", "weight_map.a is 1, but must be a string"},
      {"a shard that is not there", index_with("other.safetensors"),
       "is \"other.safetensors\", a file that is not in the"},
      {"a shard above", index_with("../shard.safetensors"),
       "is \"../shard.safetensors\", but must be the name of a file"},
      {"a shard elsewhere", index_with("/etc/passwd"), "is \"/etc/passwd\", but must be the name of a file"},
      {"a shard below", index_with("sub/shard.safetensors"), "but must be the name of a file in the same folder"},
      {"a shard without a name", index_with(""), "is \"\", but must be the name of a file in the same folder"},
      {"the folder itself", index_with("."), "is \".\", but must be the name of a file in the same folder"},
      {"the folder above", index_with(".."), "is \"..\", but must be the name of a file in the same folder"},
      {"a tensor that its shard lacks", R"({"weight_map": {"no.weight": "shard.safetensors"}})",
       "weight_map.no.weight is \"shard.safetensors\", but that file has no such tensor"},
      {"a tensor that the index lacks", R"({"weight_map": {"model.norm.weight": "shard.safetensors"}})",
       "lacks the tensor model.embed_tokens.weight"},
  };
  const auto folder = temporary_folder();
  EditableModel().write(folder);
  std::filesystem::rename(folder / "model.safetensors", folder / "shard.safetensors");
  write_file(folder / "model.safetensors.index.json", index_with("shard.safetensors"));
  ASSERT_EQ(load(folder), kLoaded);
  for (const auto& [name, text, fragment] : cases) {
    SCOPED_TRACE(name);
    write_file(folder / "model.safetensors.index.json", text);
    expect_refusal(folder, "model.safetensors.index.json", fragment);
  }
  write_file(folder / "model.safetensors.index.json", index_with("broken.safetensors"));
  write_file(folder / "broken.safetensors", "broken");
  expect_refusal(folder, "broken.safetensors", "holds 6 bytes, too few");
}

}  // namespace
}  // namespace llm
