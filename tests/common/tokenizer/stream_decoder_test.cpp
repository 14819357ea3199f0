// Text token by token: whole characters only, and together exactly decode()'s text.
#include <gtest/gtest.h>

#include <random>

#include "common/tokenizer/decoder.h"
#include "common/tokenizer/tokenizer.h"
#include "common/tokenizer/unicode.h"

namespace llm {
namespace {

Tokenizer load(const std::string& kind) { return Tokenizer::load("tests/reference/tokenizer/" + kind); }

std::vector<std::string> parts_of(StreamDecoder& decoder, const std::vector<int32_t>& ids) {
  std::vector<std::string> parts;
  for (const int32_t id : ids) parts.push_back(decoder.push(id));
  parts.push_back(decoder.finish());
  return parts;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += part;
  return text;
}

TEST(StreamDecoder, RandomIdsOfEveryKind) {
  for (const char* kind : {"gpt2", "roberta", "llama3", "qwen2", "smollm2", "llama2", "mistral", "metaspace"}) {
    const Tokenizer tokenizer = load(kind);
    std::mt19937 random(7);
    for (int round = 0; round < 300; ++round) {
      // Ids a little beyond both ends of the vocabulary; small ones often, for they are bytes and special tokens.
      std::vector<int32_t> ids(random() % 24);
      for (int32_t& id : ids) {
        const auto limit = static_cast<uint32_t>(random() % 2 == 0 ? 270 : tokenizer.vocab_size() + 2);
        id = static_cast<int32_t>(random() % (limit + 2)) - 2;
      }
      for (const bool skip : {true, false}) {
        StreamDecoder decoder(tokenizer, skip);
        const std::vector<std::string> parts = parts_of(decoder, ids);
        for (const std::string& part : parts) EXPECT_EQ(repair_utf8(part), part) << kind;
        EXPECT_EQ(joined(parts), tokenizer.decode(ids, skip)) << kind << " round " << round;
      }
    }
  }
}

TEST(StreamDecoder, AnEmojiComesOutWhole) {
  for (const char* kind : {"gpt2", "qwen2", "mistral", "llama2"}) {
    const Tokenizer tokenizer = load(kind);
    const std::vector<int32_t> ids = tokenizer.encode("a \U0001F9F8 b", false);  // a bear, four bytes
    StreamDecoder decoder(tokenizer);
    std::string text;
    int empty = 0;
    for (const std::string& part : parts_of(decoder, ids)) {
      EXPECT_TRUE(part.empty() || utf8_front(part).valid) << kind;
      empty += part.empty();
      text += part;
    }
    EXPECT_GE(empty, 3) << kind;
    EXPECT_EQ(text, "a \U0001F9F8 b") << kind;
  }
}

TEST(StreamDecoder, UnfinishedCharacterAtTheEnd) {
  const Tokenizer gpt2 = load("gpt2");
  std::vector<int32_t> ids = gpt2.encode("x\U0001F9F8", false);
  ids.pop_back();
  StreamDecoder decoder(gpt2);
  const std::vector<std::string> parts = parts_of(decoder, ids);
  EXPECT_EQ(parts.front(), "x");
  EXPECT_EQ(parts.back(), kReplacementChar);  // one for the whole beginning, as Python's decode makes it

  const Tokenizer mistral = load("mistral");
  ids = mistral.encode("a\U0001F9F8", false);
  ids.pop_back();
  StreamDecoder fallback(mistral);
  EXPECT_EQ(parts_of(fallback, ids).back(), "\uFFFD\uFFFD\uFFFD");  // one a byte, as the library makes it
}

TEST(StreamDecoder, TextComesAsSoonAsItIsCertain) {
  const Tokenizer tokenizer = load("mistral");
  const std::vector<int32_t> ids = tokenizer.encode("Once upon a time");
  StreamDecoder decoder(tokenizer);
  std::string text;
  for (size_t i = 0; i < ids.size(); ++i) {
    text += decoder.push(ids[i]);
    EXPECT_EQ(text, tokenizer.decode({ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(i) + 1}));
  }
  EXPECT_EQ(decoder.finish(), "");
}

TEST(StreamDecoder, BeginsAnewAfterFinish) {
  for (const char* kind : {"gpt2", "mistral", "metaspace"}) {
    const Tokenizer tokenizer = load(kind);
    const std::vector<int32_t> ids = tokenizer.encode("the little girl \U0001F9F8");
    StreamDecoder decoder(tokenizer);
    const std::string first = joined(parts_of(decoder, ids));
    EXPECT_EQ(first, tokenizer.decode(ids)) << kind;
    EXPECT_EQ(joined(parts_of(decoder, ids)), first) << kind;  // the leading space is stripped again
  }
}

TEST(StreamDecoder, WithoutADecoderASpaceStandsBetweenTokens) {
  Decoding decoding = Decoder::parse(Json::parse("null", "tokenizer.json")).start();
  EXPECT_EQ(decoding.push("ab"), "ab");
  EXPECT_EQ(decoding.push(""), " ");
  EXPECT_EQ(decoding.push("c"), " c");
  EXPECT_EQ(decoding.end(), "");
}

// The window is short: a hundred thousand tokens take no quadratic time.
TEST(StreamDecoder, LongTexts) {
  for (const char* kind : {"gpt2", "mistral"}) {
    const Tokenizer tokenizer = load(kind);
    std::string text;
    for (int i = 0; i < 20000; ++i) text += "the \U0001F9F8 ";
    const std::vector<int32_t> ids = tokenizer.encode(text);
    ASSERT_GT(ids.size(), 100000u);
    StreamDecoder decoder(tokenizer);
    EXPECT_EQ(joined(parts_of(decoder, ids)), text);
  }
}

}  // namespace
}  // namespace llm
