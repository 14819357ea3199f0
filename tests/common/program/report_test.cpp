#include "common/program/report.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <limits>
#include <set>

#include "tests/support/sentence_of.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_model.h"

namespace llm {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

class ReportTest : public testing::Test {
 protected:
  void SetUp() override {
    options.json = temporary_folder() / "report.json";
    options.sampling.seed = 9223372036854775807u;
    options.threads = 2;
  }

  // A text of the given tokens, each leading by 1.
  Generation text_of(const std::vector<int32_t>& tokens) const {
    ModelConfig config = model.config();
    config.vocab_size = 512;  // the tokenizer's 489 ids among them
    config.eos_token_ids = {};
    Generation generation({7, 8}, config, {static_cast<int>(tokens.size()), false, {}});
    for (const int32_t token : tokens) {
      const Tensor logits({1, config.vocab_size}, DType::f32);
      std::fill_n(logits.view().as<float>(), config.vocab_size, 0.0f);
      logits.view().as<float>()[token] = 1.0f;
      generation.sample(logits, 1);
    }
    return generation;
  }

  struct Outcome {
    int code = -1;
    std::string text;
    Json json = Json::object();
  };
  Outcome finish(Report& report) const {
    Outcome outcome;
    testing::internal::CaptureStdout();
    outcome.code = report.finish();
    std::fflush(stdout);
    outcome.text = testing::internal::GetCapturedStdout();
    outcome.json = Json::parse_file(options.json);
    return outcome;
  }

  static std::vector<std::string> keys_of(const Json& json) {
    std::vector<std::string> keys;
    json.for_each_item([&](const std::string& key, const Json&) { keys.push_back(key); });
    return keys;
  }

  LoadedModel model{"some/model", tiny_transformer(tiny_config("llama"), 1),
                    std::make_shared<Tokenizer>(Tokenizer::load("tests/reference/tokenizer/gpt2"))};
  Options options;
};

// The design's stable names, in its order, with their types.
TEST_F(ReportTest, JsonHasTheStableFields) {
  Report report({2, "KV cache"}, model, options);
  const Generation generation = text_of({65, 66, 67});
  report.add_generation(generation, 1234, 5.0, 2.0);
  report.details().set("kv_bytes_per_token", 96);
  report.compare({65, 66, 67}, {1, 1, 5e-5f});
  const Outcome outcome = finish(report);
  EXPECT_EQ(outcome.code, 0);
  const Json& json = outcome.json;
  EXPECT_EQ(keys_of(json), (std::vector<std::string>{"chapter", "technique", "model", "device", "dtype", "threads",
                                                     "seed", "prompt_tokens", "prompt_token_ids", "token_ids", "text",
                                                     "ttft_ms", "tokens_per_second", "kv_bytes", "same_output",
                                                     "near_ties", "first_difference", "details"}));
  EXPECT_EQ(json.at("chapter").integer(), 2);
  EXPECT_EQ(json.at("technique").string(), "KV cache");
  EXPECT_EQ(json.at("model").string(), "some/model");
  EXPECT_EQ(json.at("device").string(), "cpu");
  EXPECT_EQ(json.at("dtype").string(), "f32");
  EXPECT_EQ(json.at("threads").integer(), 2);
  EXPECT_EQ(json.at("seed").integer(), 9223372036854775807);
  EXPECT_EQ(json.at("prompt_tokens").integer(), 2);
  EXPECT_EQ(json.at("prompt_token_ids").dump(-1), "[7,8]");
  EXPECT_EQ(json.at("token_ids").dump(-1), "[65,66,67]");
  EXPECT_EQ(json.at("text").string(), model.tokenizer->decode({65, 66, 67}));
  EXPECT_EQ(json.at("ttft_ms").number(), generation.ttft_ms());
  EXPECT_EQ(json.at("tokens_per_second").number(), generation.tokens_per_second());
  EXPECT_EQ(json.at("kv_bytes").integer(), 1234);
  EXPECT_TRUE(json.at("same_output").boolean());
  EXPECT_EQ(json.at("near_ties").integer(), 1);
  EXPECT_TRUE(json.at("first_difference").is_null());
  const Json details = json.at("details");
  EXPECT_EQ(details.at("kv_bytes_per_token").integer(), 96);
  EXPECT_EQ(details.at("finish_reason").string(), "length");
  EXPECT_EQ(details.at("step_ms").size(), 3u);
  EXPECT_EQ(details.at("top_gaps").dump(-1), "[1.0,1.0,1.0]");
  EXPECT_EQ(details.at("predicted_ttft_ms").number(), 5.0);
  EXPECT_EQ(details.at("predicted_tokens_per_second").number(), 500.0);
  EXPECT_EQ(details.at("settings").at("max_tokens").integer(), 200);
}

TEST_F(ReportTest, NotMeasuredIsNull) {
  Report report({1, "naive generation"}, model, options);
  report.add_generation(text_of({65}), 0, kNan, kNan);  // one token: nothing came after the first
  report.count_near_ties({1});
  const Outcome outcome = finish(report);
  EXPECT_TRUE(outcome.json.at("tokens_per_second").is_null());
  EXPECT_TRUE(outcome.json.at("details").at("predicted_ttft_ms").is_null());
  EXPECT_TRUE(outcome.json.at("details").at("predicted_tokens_per_second").is_null());
  EXPECT_TRUE(outcome.json.at("ttft_ms").is_number());
  EXPECT_NE(outcome.text.find("not measured"), std::string::npos);
  EXPECT_EQ(outcome.text.find("nan"), std::string::npos);
}

TEST_F(ReportTest, Chapter1IsTheReference) {
  Report report({1, "naive generation"}, model, options);
  report.add_generation(text_of({65, 66}), 0, 1.0, 1.0);
  report.count_near_ties({1, 0});
  const Outcome outcome = finish(report);
  EXPECT_EQ(outcome.code, 0);
  EXPECT_TRUE(outcome.json.at("same_output").boolean());
  EXPECT_EQ(outcome.json.at("near_ties").integer(), 1);
  EXPECT_TRUE(
      outcome.text.ends_with("  same output as chapter 1: yes (near-ties in the reference: 1), it is the reference\n"))
      << outcome.text;
}

TEST_F(ReportTest, ADifferenceIsShownAndFails) {
  Report report({2, "KV cache"}, model, options);
  report.add_generation(text_of({65, 70, 67}), 1, 1.0, 1.0);
  report.compare({65, 66, 67}, {1, 1, 1});
  const Outcome outcome = finish(report);
  EXPECT_EQ(outcome.code, 1);
  EXPECT_FALSE(outcome.json.at("same_output").boolean());
  const Json difference = outcome.json.at("first_difference");
  EXPECT_EQ(difference.at("index").integer(), 1);
  EXPECT_EQ(difference.at("expected").integer(), 66);
  EXPECT_EQ(difference.at("actual").integer(), 70);
  EXPECT_FALSE(difference.at("at_near_tie").boolean());
  EXPECT_TRUE(outcome.text.ends_with("  same output as chapter 1: no: token 1 is 70, expected 66\n")) << outcome.text;
}

TEST_F(ReportTest, TheToleranceIsThatOfTheNumberFormat) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    options.dtype = dtype;
    Report report({2, "KV cache"}, model, options);
    report.add_generation(text_of({65, 70}), 1, 1.0, 1.0);
    report.compare({65, 66}, {1, 0.01f});
    EXPECT_EQ(finish(report).code, dtype == DType::bf16 ? 0 : 1);
  }
}

TEST_F(ReportTest, RowsStandWithTheirPredictions) {
  Report report({2, "KV cache"}, model, options);
  report.add_generation(text_of({65, 66}), 1, 5.0, 2.0);
  report.add_row("tokens passed", "101", "102");
  report.compare({65, 66}, {1, 1});
  const std::string text = finish(report).text;
  EXPECT_NE(text.find("predicted"), std::string::npos);
  EXPECT_NE(text.find("measured"), std::string::npos);
  EXPECT_NE(text.find("time to first token"), std::string::npos);
  EXPECT_NE(text.find("5.00 ms"), std::string::npos);
  EXPECT_NE(text.find("500"), std::string::npos);
  const size_t row = text.find("tokens passed");
  ASSERT_NE(row, std::string::npos);
  const std::string line = text.substr(row, text.find('\n', row) - row);
  EXPECT_NE(line.find("101"), std::string::npos);
  EXPECT_TRUE(line.ends_with("102"));
}

TEST_F(ReportTest, TheTraceHasAnEventAToken) {
  options.trace = options.json.parent_path() / "trace.json";
  Report report({2, "KV cache"}, model, options);
  const Generation generation = text_of({65, 66, 67});
  report.add_generation(generation, 1, 1.0, 1.0);
  report.compare({65, 66, 67}, {1, 1, 1});
  finish(report);
  const Json events = Json::parse_file(options.trace).at("traceEvents");
  EXPECT_EQ(events.at(1).at("args").at("prompt").string(), model.text(generation.prompt()));
  ASSERT_EQ(events.size(), 4u) << "the row's name and three tokens";
  double end_us = 0.0;
  for (size_t i = 0; i < 3; ++i) {
    const Json event = events.at(i + 1);
    EXPECT_EQ(event.at("name").string(), i == 0 ? "prefill" : "decode");
    EXPECT_NEAR(event.at("ts").number(), end_us, 1e-6) << "one after the other";
    EXPECT_NEAR(event.at("dur").number(), 1000.0 * generation.step_ms()[i], 1e-6);
    EXPECT_EQ(event.at("args").at("token_id").integer(), 65 + static_cast<int>(i));
    EXPECT_EQ(event.at("args").at("position").integer(), 2 + static_cast<int>(i));
    EXPECT_EQ(event.at("args").at("token_passes").integer(), generation.step_passes()[i]);
    end_us = event.at("ts").number() + event.at("dur").number();
  }
}

TEST_F(ReportTest, TextThatIsNoUtf8IsStillJson) {
  const std::vector<int32_t> half = {model.tokenizer->encode("\U0001F600").front()};
  Report report({2, "KV cache"}, model, options);
  report.add_generation(text_of(half), 1, 1.0, 1.0);
  report.compare(half, {1});
  EXPECT_EQ(finish(report).json.at("text").string(), "\uFFFD");
}

TEST_F(ReportTest, AnUnwritablePlaceIsReportedAndNothingIsLeft) {
  const std::filesystem::path folder = options.json.parent_path();
  options.json = folder / "gone" / "report.json";
  Report report({1, "naive generation"}, model, options);
  report.add_generation(text_of({65}), 0, 1.0, 1.0);
  report.count_near_ties({1});
  testing::internal::CaptureStdout();
  EXPECT_SENTENCE(report.finish(), options.json.string() +
                                       ": can't be written; give a file in a folder that exists and may be written to");
  testing::internal::GetCapturedStdout();
  EXPECT_TRUE(std::filesystem::is_empty(folder));
}

// A file is there whole or not at all, and nothing else is left beside it.
TEST(WriteFile, ReplacesOrLeavesAsItWas) {
  const std::filesystem::path folder = temporary_folder();
  write_file(folder / "a.json", "first");
  write_file(folder / "a.json", "second");
  EXPECT_EQ(read_file(folder / "a.json"), "second");
  std::filesystem::create_directory(folder / "taken");
  EXPECT_THROW(write_file(folder / "taken", "text"), InputError);
  write_file(folder / "taken" / "b", "");  // not even an empty folder may be replaced
  EXPECT_THROW(write_file(folder / "taken", "text"), InputError);
  EXPECT_THROW(write_file("/proc/a.json", "text"), InputError);
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.insert(entry.path().filename().string());
  EXPECT_EQ(names, (std::set<std::string>{"a.json", "taken"}));
}

// As root, `--json /dev/null` would otherwise replace the device.
TEST(WriteFile, WritesToADeviceAndLeavesIt) {
  const std::filesystem::path link = temporary_folder() / "null";
  std::filesystem::create_symlink("/dev/null", link);
  write_file(link, "text");
  EXPECT_TRUE(std::filesystem::is_symlink(link));
  EXPECT_TRUE(std::filesystem::is_character_file(link));
}

// /dev/full takes no byte: an output that ends half-way is reported.
TEST(WriteFile, ReportsAFullDisk) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  const std::filesystem::path folder = temporary_folder();
  const std::filesystem::path part = folder / ("a.json." + std::to_string(getpid()) + ".part");
  std::filesystem::create_symlink("/dev/full", part);
  EXPECT_THROW(write_file(folder / "a.json", std::string(100000, 'x')), InputError);
  EXPECT_FALSE(std::filesystem::exists(folder / "a.json"));
  EXPECT_FALSE(std::filesystem::is_symlink(part));
}

}  // namespace
}  // namespace llm
