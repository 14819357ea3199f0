#include "chapters/01_naive_generation/reference.h"

#include <gtest/gtest.h>

#include "chapters/01_naive_generation/naive_generation.h"
#include "common/program/report.h"
#include "tests/support/sentence_of.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_model.h"

namespace llm {
namespace {

using Ids = std::vector<int32_t>;

// Chapter 1's file for a sampled text, and what a later chapter asks of it.
class Reference : public testing::Test {
 protected:
  void SetUp() override {
    file = temporary_folder() / "chapter_01.json";
    options.max_tokens = 9;
    options.ignore_eos = true;
    options.sampling = {.temperature = 0.8, .top_k = 20, .top_p = 0.9, .min_p = 0.01, .seed = 5};
    options.json = file;
    const Generation naive = generate_naive(*model.transformer, prompt, params());
    Report report({1, "naive generation"}, model, options);
    report.add_generation(naive, 0, 1.0, 1.0);
    report.count_near_ties(naive.top_gaps());
    testing::internal::CaptureStdout();
    EXPECT_EQ(report.finish(), 0);
    testing::internal::GetCapturedStdout();
    options.json.clear();
    options.reference = file;
  }

  GenerationParams params() const { return {options.max_tokens, options.ignore_eos, options.sampling}; }
  ReferenceOutput read() const { return reference_output(model, options, prompt, params()); }

  // The file with one field changed; `value` is JSON.
  void change(const std::vector<std::string>& path, const std::string& value) const {
    const Json root = Json::parse_file(file);
    Json parent = root;
    for (size_t i = 0; i + 1 < path.size(); ++i) parent = parent.at(path[i]);
    parent.set(path.back(), Json::parse(value, "value"));
    write_file(file, root.dump());
  }

  std::string sentence() const {
    return sentence_of([&] { (void)read(); });
  }
  std::string wrong(const std::string& field) const {
    return file.string() + ": " + field + " is not what this run uses; make the file with chapter 1 and the same flags";
  }

  LoadedModel model{"tiny", tiny_transformer(tiny_config("llama"), 8), nullptr};
  Ids prompt = {4, 9, 16};
  Options options;
  std::filesystem::path file;
};

TEST_F(Reference, FromTheFileIsWhatARunNowGives) {
  const ReferenceOutput from_file = read();
  Options without = options;
  without.reference.clear();
  const ReferenceOutput now = reference_output(model, without, prompt, params());
  EXPECT_EQ(from_file.token_ids, now.token_ids);
  EXPECT_EQ(from_file.top_gaps, now.top_gaps) << "to the last bit";
  EXPECT_EQ(from_file.token_ids.size(), 9u);
  EXPECT_EQ(from_file.step_ms.size(), 9u);
}

TEST_F(Reference, RefusesAFileOfAnotherRun) {
  change({"chapter"}, "2");
  EXPECT_EQ(sentence(), wrong("chapter"));
  SetUp();
  change({"model"}, "\"another\"");
  EXPECT_EQ(sentence(), wrong("model"));
  SetUp();
  change({"dtype"}, "\"bf16\"");
  EXPECT_EQ(sentence(), wrong("dtype"));
  SetUp();
  change({"seed"}, "6");
  EXPECT_EQ(sentence(), wrong("seed"));
  SetUp();
  change({"prompt_token_ids"}, "[4, 9]");
  EXPECT_EQ(sentence(), wrong("prompt_token_ids"));
}

// Otherwise the outputs would differ, and the chapter would be blamed.
TEST_F(Reference, RefusesAFileOfOtherSettings) {
  const std::vector<std::pair<const char*, const char*>> others = {{"max_tokens", "10"}, {"ignore_eos", "false"},
                                                                   {"temperature", "0"}, {"top_k", "19"},
                                                                   {"top_p", "0.5"},     {"min_p", "0"}};
  for (const auto& [name, value] : others) {
    SetUp();
    change({"details", "settings", name}, value);
    EXPECT_EQ(sentence(), wrong("details.settings")) << name;
  }
}

TEST_F(Reference, GreedyTextNeedsNoSeed) {
  options.sampling.temperature = 0.0;
  change({"details", "settings", "temperature"}, "0.0");
  change({"seed"}, "77");
  EXPECT_EQ(sentence(), "(no error)");
}

TEST_F(Reference, RefusesWhatIsNoReport) {
  change({"token_ids"}, "[1, -2]");
  EXPECT_NE(sentence().find(": token_ids[1] is -2, but must be an integer from 0"), std::string::npos) << sentence();
  SetUp();
  change({"details", "top_gaps"}, "\"wide\"");
  EXPECT_NE(sentence().find(": details.top_gaps must be an array"), std::string::npos) << sentence();
  write_file(file, "{}");
  EXPECT_EQ(sentence(), file.string() + " lacks the field \"chapter\"; add it");
  write_file(file, "[1");
  EXPECT_NE(sentence().find(file.string() + ": not valid JSON"), std::string::npos) << sentence();
  std::filesystem::remove(file);
  EXPECT_EQ(sentence(), file.string() + ": no such file; check the path");
}

}  // namespace
}  // namespace llm
