// The programs themselves, run as a user runs them: exit codes, what is printed, what is written.
#pragma once

#include <gtest/gtest.h>

#include <sstream>

#include "common/json/json.h"
#include "tests/support/process.h"
#include "tests/support/tiny_model.h"

namespace llm {

inline constexpr const char* kChapterPrograms[] = {CHAPTER_01_PROGRAM, CHAPTER_02_PROGRAM, CHAPTER_03_PROGRAM,
                                                   CHAPTER_04_PROGRAM, CHAPTER_05_PROGRAM, CHAPTER_06_PROGRAM,
                                                   CHAPTER_07_PROGRAM, CHAPTER_08_PROGRAM};

using Words = std::vector<std::string>;

class Programs : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    ModelConfig config = tiny_config("llama");
    config.vocab_size = 512;
    model = temporary_root() / "tiny";
    write_tiny_model(model, config, 1, "gpt2");
  }
  void SetUp() override { folder = temporary_folder(); }

  // With the tiny model and a short text.
  static Outcome run(const std::string& program, Words more) {
    more.insert(more.end(), {"--model", model, "--max-tokens", "9", "--ignore-eos"});
    return run_process(program, more);
  }

  // Its report of a run with chapter 1 or 2 and nothing but these flags.
  Json report(const std::string& program, Words arguments) const {
    arguments.insert(arguments.end(), {"--json", file("report")});
    const Outcome outcome = run_process(program, arguments);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return Json::parse_file(file("report"));
  }

  // The cells of the table's line that begins with `what`, one space between them.
  static std::string row(const std::string& out, const std::string& what) {
    const size_t begin = out.find("\n  " + what + "  ");
    if (begin == std::string::npos) return "no row " + what;
    std::istringstream cells(out.substr(begin + 3 + what.size(), out.find('\n', begin + 1) - begin - 3 - what.size()));
    std::string text;
    for (std::string cell; cells >> cell;) text += (text.empty() ? "" : " ") + cell;
    return text;
  }

  // One sentence on stderr that has `part` in it, exit code 2, and no file in the test's folder.
  void expect_refusal(const std::string& program, const Words& arguments, const std::string& part) const {
    const testing::ScopedTrace trace(__FILE__, __LINE__, program + " ... " + part);
    const Outcome outcome = run_process(program, arguments);
    EXPECT_EQ(outcome.code, 2) << outcome.err;
    EXPECT_TRUE(outcome.err.starts_with("error: ")) << outcome.err;
    EXPECT_EQ(outcome.err.find('\n'), outcome.err.size() - 1) << outcome.err;
    EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
    EXPECT_TRUE(std::filesystem::is_empty(folder));
  }

  // Chapter 1's report in the file "one", with another ninth token.
  void write_changed_reference() const {
    ASSERT_EQ(run(CHAPTER_01_PROGRAM, {"--tokens", "3,4", "--json", file("one")}).code, 0);
    const Json changed = Json::parse_file(file("one"));
    std::vector<int32_t> ids;
    changed.at("token_ids").for_each([&](const Json& id) { ids.push_back(static_cast<int32_t>(id.integer())); });
    ids[8] = (ids[8] + 1) % 512;
    Json(changed).set("token_ids", Json::integers(ids));
    write_file(file("one"), changed.dump());
  }

  std::string file(const char* name) const { return folder / name; }

  inline static std::string model;
  std::filesystem::path folder;
};

}  // namespace llm
