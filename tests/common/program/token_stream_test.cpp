#include "common/program/token_stream.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/tiny_model.h"

namespace llm {
namespace {

// What is on the screen after the prompt and after each token; the last is after finish().
std::vector<std::string> shown(const LoadedModel& model, const std::vector<int32_t>& prompt,
                               const std::vector<int32_t>& tokens) {
  std::vector<std::string> parts;
  const auto capture = [&](const auto& action) {
    testing::internal::CaptureStdout();
    action();
    parts.push_back(testing::internal::GetCapturedStdout());
  };
  std::optional<TokenStream> stream;
  capture([&] { stream.emplace(model, prompt); });
  for (const int32_t token : tokens) capture([&] { stream->push(token); });
  capture([&] { stream->finish(); });
  return parts;
}

TEST(TokenStream, WithoutATokenizerTheIds) {
  const LoadedModel model{"tiny", nullptr, nullptr};
  EXPECT_EQ(shown(model, {1, 2}, {30, 4}), (std::vector<std::string>{"1 2 ", "30 ", "4 ", "\n"}));
}

TEST(TokenStream, TextIsShownWhenItCompletesACharacter) {
  const auto tokenizer = std::make_shared<Tokenizer>(Tokenizer::load("tests/reference/tokenizer/gpt2"));
  const LoadedModel model{"tiny", nullptr, tokenizer};
  const std::string text = "a {} % \U0001F600 kite";  // braces and percent signs are text like any other
  const std::vector<int32_t> ids = tokenizer->encode(text);
  const std::vector<std::string> parts = shown(model, {ids.front()}, {ids.begin() + 1, ids.end()});
  std::string all;
  int silent = 0;
  for (const std::string& part : parts) {
    all += part;
    silent += part.empty();
    EXPECT_TRUE(part.empty() || (part.front() & 0xc0) != 0x80) << "half a character came out";
  }
  EXPECT_EQ(all, text + "\n");
  EXPECT_GE(silent, 2) << "the emoji's four bytes are at least three tokens";
}

// Captured output goes to a file, whose size is what has left the program.
TEST(TokenStream, ATokenIsShownAtOnce) {
  const LoadedModel model{"tiny", nullptr, nullptr};
  struct stat out = {};
  testing::internal::CaptureStdout();
  TokenStream stream(model, {});
  stream.push(123);
  EXPECT_EQ(fstat(STDOUT_FILENO, &out), 0);
  testing::internal::GetCapturedStdout();
  EXPECT_EQ(out.st_size, 4) << "123 and a space";
}

TEST(TokenStream, AnUnfinishedCharacterIsShownAtTheEnd) {
  const auto tokenizer = std::make_shared<Tokenizer>(Tokenizer::load("tests/reference/tokenizer/gpt2"));
  const LoadedModel model{"tiny", nullptr, tokenizer};
  std::vector<int32_t> ids = tokenizer->encode("a\U0001F600");
  ids.pop_back();
  const std::vector<std::string> parts = shown(model, {ids.front()}, {ids.begin() + 1, ids.end()});
  EXPECT_EQ(parts.back(), "\uFFFD\n");
}

}  // namespace
}  // namespace llm
