#include "common/program/loaded_model.h"

#include <gtest/gtest.h>

#include <random>

#include "common/json/json.h"
#include "tests/support/gpu_device.h"
#include "tests/support/sentence_of.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_model.h"

namespace llm {
namespace {

using Ids = std::vector<int32_t>;

ModelConfig text_config() {
  ModelConfig config = tiny_config("llama");
  config.vocab_size = 512;  // the tokenizer's 489 ids, and some that it never gives
  return config;
}

class LoadedModelTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder = temporary_root() / "tiny";
    write_tiny_model(folder, text_config(), 1, "gpt2");
    model = new LoadedModel(load_model(folder.string(), DType::f32, Device::cpu));
  }
  static void TearDownTestSuite() { delete model; }

  static std::string prompt_sentence(const Options& options, const LoadedModel& loaded = *model) {
    return sentence_of([&] { (void)prompt_token_ids(loaded, options); });
  }
  static Options with_tokens(const std::string& tokens) {
    Options options;
    options.tokens = tokens;
    return options;
  }

  inline static std::filesystem::path folder;
  inline static LoadedModel* model = nullptr;
};

TEST_F(LoadedModelTest, AFolderIsLoadedWhole) {
  EXPECT_EQ(model->name, folder.string());
  EXPECT_EQ(model->config().vocab_size, 512);
  EXPECT_EQ(model->config().num_kv_heads, 2);
  EXPECT_EQ(model->transformer->dtype(), DType::f32);
  ASSERT_TRUE(model->tokenizer);
  EXPECT_EQ(model->text(model->tokenizer->encode("Tom had a red kite")), "Tom had a red kite");
  EXPECT_EQ(load_model(folder.string(), DType::bf16, Device::cpu).transformer->dtype(), DType::bf16);
  EXPECT_EQ(load_model(folder.string() + "/", DType::f32, Device::cpu).config().vocab_size, 512);
}

TEST_F(LoadedModelTest, NoSuchFolder) {
  for (const std::string& name : {std::string("no/such/folder"), (folder / "config.json").string()}) {
    const std::string sentence = sentence_of([&] { load_model(name, DType::f32, Device::cpu); });
    EXPECT_TRUE(sentence.starts_with("--model is " + name +
                                     ", but there is no such folder; give a Hugging Face folder, "
                                     "or random: and one of llama2c-15m, "))
        << sentence;
  }
  const std::string endless(5000, 'x');
  EXPECT_NE(sentence_of([&] { load_model(endless, DType::f32, Device::cpu); }).find("x, but there is no such folder"),
            std::string::npos);
  const std::string sentence = sentence_of([&] { load_model("random:gpt-5", DType::f32, Device::cpu); });
  EXPECT_TRUE(sentence.starts_with("--model random:gpt-5: no such shape; give one of llama2c-15m, ")) << sentence;
}

TEST_F(LoadedModelTest, AFolderWithAFileMissing) {
  for (const char* file : {"config.json", "model.safetensors", "tokenizer.json"}) {
    const std::filesystem::path broken = temporary_folder() / "broken";
    std::filesystem::copy(folder, broken);
    std::filesystem::remove(broken / file);
    const std::string sentence = sentence_of([&] { load_model(broken.string(), DType::f32, Device::cpu); });
    EXPECT_NE(sentence.find(file), std::string::npos) << sentence;
  }
}

// A program may be started anywhere: the embedded models are found from where it stands.
TEST_F(LoadedModelTest, EmbeddedFoldersFromElsewhere) {
  const std::filesystem::path project = std::filesystem::current_path();
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe");
  if (!program.string().starts_with(project.string())) GTEST_SKIP() << "built outside the project's folder";
  EXPECT_EQ(embedded_folder("models/stories"), "models/stories");

  std::filesystem::current_path(temporary_folder());
  const auto stories = find_embedded("models/stories"), nothing = find_embedded("models/nothing");
  const std::string sentence = sentence_of([] { embedded_folder("models/nothing"); });
  std::filesystem::current_path(project);
  ASSERT_TRUE(stories);
  EXPECT_TRUE(std::filesystem::equivalent(*stories, project / "models/stories")) << *stories;
  EXPECT_FALSE(nothing);
  EXPECT_EQ(sentence, "there is no folder models/nothing here; start in the project's folder or name another model");
}

TEST_F(LoadedModelTest, ADeviceThatIsNotThere) {
  for (const Device device : {Device::simt, Device::cuda}) {
    if (missing_device(device).empty()) continue;  // it is here
    const std::string sentence = sentence_of([&] { load_model(folder.string(), DType::f32, device); });
    EXPECT_NE(sentence.find("--device"), std::string::npos) << sentence;
  }
}

TEST_F(LoadedModelTest, PromptsOfEveryKind) {
  Options options;
  options.prompt = "red kite";
  const Ids ids = model->tokenizer->encode("red kite");
  EXPECT_EQ(prompt_token_ids(*model, options), ids);
  options.prompt_file = temporary_folder() / "prompt.txt";
  write_file(options.prompt_file, "a blue\nkite\n");
  EXPECT_EQ(prompt_token_ids(*model, options), model->tokenizer->encode("a blue\nkite\n"));
  EXPECT_EQ(prompt_token_ids(*model, with_tokens("0")), Ids{0});
  EXPECT_EQ(prompt_token_ids(*model, with_tokens("511,0,88")), (Ids{511, 0, 88}));
}

TEST_F(LoadedModelTest, EmptyPrompts) {
  Options options;
  options.prompt = "";
  EXPECT_EQ(prompt_sentence(options), "--prompt is empty; give at least one character");
  options.prompt_file = temporary_folder() / "prompt.txt";
  write_file(options.prompt_file, "");
  EXPECT_EQ(prompt_sentence(options), "--prompt-file is empty; give at least one character");
}

TEST_F(LoadedModelTest, PromptFilesThatCannotBeRead) {
  Options options;
  options.prompt_file = "no/such/file.txt";
  EXPECT_EQ(prompt_sentence(options), "no/such/file.txt: no such file; check the path");
  options.prompt_file = folder;
  EXPECT_EQ(prompt_sentence(options), folder.string() + ": is a folder, but must be a file");
}

TEST_F(LoadedModelTest, TokensThatAreNoIds) {
  for (const std::string text :
       {"a", "1,", ",1", "1,,2", "1 2", "1, 2", "1;2", "1.5", "+1", "99999999999", "0x1", " ", ","}) {
    EXPECT_EQ(prompt_sentence(with_tokens(text)),
              "--tokens is \"" + text + "\", but must be token ids with commas between, such as 0,412,88");
  }
}

TEST_F(LoadedModelTest, IdsOutsideTheVocabulary) {
  for (const std::string id : {"512", "-1", "2147483647", "-2147483648"}) {
    EXPECT_EQ(prompt_sentence(with_tokens("3," + id)),
              "--tokens has the token id " + id + ", but " + model->name +
                  " has ids from 0 to 511; give others, or the tokenizer of this model");
  }
  // A tokenizer that does not belong to the model.
  ModelConfig small = text_config();
  small.vocab_size = 40;
  const LoadedModel mixed{"mixed", tiny_transformer(small, 1), model->tokenizer};
  Options options;
  options.prompt = "kite";
  EXPECT_TRUE(prompt_sentence(options, mixed).starts_with("--prompt has the token id "))
      << prompt_sentence(options, mixed);
  options.prompt_file = temporary_folder() / "prompt.txt";
  write_file(options.prompt_file, "kite");
  EXPECT_TRUE(prompt_sentence(options, mixed).starts_with("--prompt-file has the token id "));
}

// At least one token must fit behind the prompt.
TEST_F(LoadedModelTest, PromptsTooLong) {
  const auto tokens = [](int count) {
    std::string text = "1";
    for (int i = 1; i < count; ++i) text += ",1";
    return with_tokens(text);
  };
  EXPECT_EQ(prompt_token_ids(*model, tokens(47)).size(), 47u);
  for (const int count : {48, 49, 5000}) {
    EXPECT_EQ(prompt_sentence(tokens(count)), "the prompt has " + std::to_string(count) + " tokens, but " +
                                                  model->name +
                                                  " has room for 48 and one of them must be new; shorten the prompt");
  }
}

TEST_F(LoadedModelTest, WithoutATokenizer) {
  const LoadedModel random{"random:tiny", tiny_transformer(tiny_config("llama"), 1), nullptr};
  Options options;
  options.sampling.seed = 3;
  const Ids ids = prompt_token_ids(random, options);
  EXPECT_EQ(ids.size(), 16u);
  EXPECT_EQ(prompt_token_ids(random, options), ids);
  options.sampling.seed = 4;
  EXPECT_NE(prompt_token_ids(random, options), ids);
  EXPECT_EQ(prompt_token_ids(random, with_tokens("7,8")), (Ids{7, 8}));
  EXPECT_EQ(random.text({7, 8}), "");
  // Text that can't be used is not passed over in silence.
  options.prompt = "Tom had a red kite";
  EXPECT_EQ(prompt_sentence(options, random),
            "--prompt is text, but random:tiny has no tokenizer; give --tokens instead");
  options.prompt_file = "prompt.txt";
  EXPECT_EQ(prompt_sentence(options, random),
            "--prompt-file is text, but random:tiny has no tokenizer; give --tokens instead");
}

TEST_F(LoadedModelTest, CheckTokenIds) {
  EXPECT_NO_THROW(check_token_ids(*model, {}, "x"));
  EXPECT_NO_THROW(check_token_ids(*model, {0, 511}, "x"));
  EXPECT_THROW(check_token_ids(*model, {0, 512}, "x"), InputError);
}

}  // namespace
}  // namespace llm
