#include "chapters/05_grouped_query_attention/convert_folder.h"

#include <gtest/gtest.h>

#include <set>

#include "chapters/05_grouped_query_attention/pooled_weights.h"
#include "common/model/safetensors.h"
#include "tests/common/model/editable_model.h"
#include "tests/support/logits.h"
#include "tests/support/sentence_of.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_model.h"

namespace llm {
namespace {

namespace fs = std::filesystem;

Rows logits_of(const ModelConfig& config, WeightSource& weights) {
  std::mt19937_64 random(1);
  return naive_logits(Transformer(config, weights, DType::f32), random_ids(random, 7, config.vocab_size));
}

Rows logits_of(const fs::path& folder) {
  SafetensorsFolder weights(folder);
  return logits_of(ModelConfig::load(folder), weights);
}

void expect_same(const Rows& actual, const Rows& expected, const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  for (size_t i = 0; i < actual.size(); ++i) EXPECT_TRUE(same_bits(actual[i], expected[i])) << what << ", row " << i;
}

// Models that transformers wrote: every family, f32, bf16 and f16, shards, rope_scaling of both forms, tied and untied.
std::vector<fs::path> reference_folders() {
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator("tests/reference/models")) folders.push_back(entry.path());
  EXPECT_GE(folders.size(), 10u);
  return folders;
}

TEST(ConvertFolder, SaysWhatTheModelConvertedInMemorySays) {
  for (const fs::path& from : reference_folders()) {
    const ModelConfig config = ModelConfig::load(from);
    SafetensorsFolder weights(from);
    for (const int kv_heads : possible_kv_heads(config)) {
      for (const Pooling pooling : {Pooling::mean, Pooling::random}) {
        const std::string what = fmt::format("{} with {}", from.string(), kv_heads);
        const fs::path to = temporary_folder() / "out";
        convert_folder(from, to, kv_heads, pooling);
        PooledWeights pooled(weights, config, kv_heads, pooling);
        EXPECT_EQ(ModelConfig::load(to).num_kv_heads, kv_heads) << what;
        expect_same(logits_of(to), logits_of(with_kv_heads(config, kv_heads), pooled), what);
        if (kv_heads >= config.num_kv_heads) expect_same(logits_of(to), logits_of(from), what);
      }
    }
  }
}

// The fewest KV heads, repeated for each head and pooled again, are the same file.
TEST(ConvertFolder, ThereAndBackIsTheSameFile) {
  for (const fs::path& from : reference_folders()) {
    const ModelConfig config = ModelConfig::load(from);
    const fs::path folder = temporary_folder();
    convert_folder(from, folder / "one", 1, Pooling::mean);
    convert_folder(folder / "one", folder / "all", config.num_heads, Pooling::mean);
    convert_folder(folder / "all", folder / "one-again", 1, Pooling::mean);
    for (const char* file : {"config.json", "model.safetensors"}) {
      EXPECT_EQ(read_file(folder / "one" / file), read_file(folder / "one-again" / file)) << from << file;
    }
  }
}

TEST(ConvertFolder, TakesAlongWhatBelongsToTheModel) {
  const fs::path from = temporary_folder() / "in", to = temporary_root() / "taken";
  write_tiny_model(from, tiny_config("llama"), 1, "gpt2");
  write_file(from / "generation_config.json", "{}\n");
  write_file(from / "README.md", "of the other model");
  convert_folder(from, to / "", 1, Pooling::mean);  // with a slash at its end
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(to)) names.insert(entry.path().filename());
  EXPECT_EQ(names,
            (std::set<std::string>{"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"}));
  EXPECT_EQ(read_file(to / "tokenizer.json"), read_file(from / "tokenizer.json"));
}

// What the file has beside the weights we know is handed on as it is, of any dtype.
TEST(ConvertFolder, HandsOnTensorsThatItDoesNotKnow) {
  const fs::path folder = temporary_folder();
  EditableModel model;
  model.add("extra.integers", {2, 0, 3});
  model.entry("extra.integers").dtype = "\"I64\"";
  model.add("extra.numbers", {2, 3, 1, 1, 2});
  fs::create_directory(folder / "in");
  model.write(folder / "in");
  convert_folder(folder / "in", folder / "out", 2, Pooling::mean);
  const SafetensorsFolder before(folder / "in"), after(folder / "out");
  EXPECT_EQ(before.names(), after.names());
  for (const char* name : {"extra.integers", "extra.numbers", "lm_head.weight"}) {
    EXPECT_EQ(before.stored(name).dtype, after.stored(name).dtype);
    EXPECT_EQ(before.stored(name).shape, after.stored(name).shape);
    EXPECT_EQ(before.stored(name).bytes, after.stored(name).bytes);
  }
}

class RefusedConversion : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directory(folder / "in");
    model.write(folder / "in");
  }

  void expect_refused(const fs::path& from, const fs::path& to, int kv_heads, const std::string& sentence) {
    EXPECT_SENTENCE(convert_folder(from, to, kv_heads, Pooling::mean), sentence);
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename());
    EXPECT_EQ(names, there) << "something was left behind";
  }

  const fs::path folder = temporary_folder();
  std::set<std::string> there = {"in"};
  EditableModel model;  // 2 heads, 1 KV head
};

TEST_F(RefusedConversion, ANumberThatDoesNotDivide) {
  expect_refused(folder / "in", folder / "out", 3,
                 "--kv-heads is 3, but in has 2 heads and 1 KV heads; give one of 1, 2");
}

TEST_F(RefusedConversion, AFolderThatIsThere) {
  expect_refused(folder / "in", folder / "in", 1,
                 fmt::format("--convert is {}/in, which is there already; name a new folder", folder.string()));
  EXPECT_TRUE(fs::exists(folder / "in" / "config.json"));
}

TEST_F(RefusedConversion, AFolderNowhere) {
  expect_refused(folder / "in", folder / "no" / "out", 1,
                 fmt::format("--convert is {}/no/out, but no folder can be made there; name one in a folder that may "
                             "be written to",
                             folder.string()));
}

TEST_F(RefusedConversion, WeightsThatAreNotThereOrDoNotFit) {
  model.entry("model.layers.0.self_attn.v_proj.weight").name = "model.layers.0.self_attn.v_proj.other";
  model.write(folder / "in");
  expect_refused(folder / "in", folder / "out", 2,
                 fmt::format("{}/in/model.safetensors: lacks the tensor model.layers.0.self_attn.v_proj.weight, which "
                             "config.json asks for; give weights and config.json of the same model",
                             folder.string()));
  model.entry("model.layers.0.self_attn.v_proj.other").name = "model.layers.0.self_attn.v_proj.weight";
  model.config.set("num_key_value_heads", 2);
  model.write(folder / "in");
  expect_refused(folder / "in", folder / "out", 1,
                 fmt::format("{}/in/model.safetensors: model.layers.0.self_attn.k_proj.weight.shape is [4, 8], but "
                             "config.json asks for [8, 8]; give weights and config.json of the same model",
                             folder.string()));
}

}  // namespace
}  // namespace llm
