// Which places of a text become added tokens.
#include "common/tokenizer/added_tokens.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace llm {
namespace {

AddedTokens parse(const std::string& tokens, const std::string& normalizer = "null") {
  return AddedTokens::parse(Json::parse(tokens, "tokenizer.json"), Vocabulary(),
                            Normalizer::parse(Json::parse(normalizer, "tokenizer.json")));
}

// "plain|7:token|plain"
std::string shown(const std::vector<Segment>& segments) {
  std::string text;
  for (const Segment& segment : segments) {
    if (!text.empty()) text += "|";
    if (segment.id >= 0) text += fmt::format("{}:", segment.id);
    text += segment.text;
  }
  return text;
}

TEST(AddedTokens, LeftmostThenLongest) {
  const AddedTokens added = parse(R"([{"id": 1, "content": "<a", "normalized": false},
    {"id": 2, "content": "<a>", "normalized": false}, {"id": 3, "content": "a>b", "normalized": false},
    {"id": 4, "content": "<a><a>x", "normalized": false}])");
  EXPECT_EQ(shown(added.split_raw("")), "");
  EXPECT_EQ(shown(added.split_raw("none")), "none");
  EXPECT_EQ(shown(added.split_raw("x<a>b")), "x|2:<a>|b");
  EXPECT_EQ(shown(added.split_raw("<a")), "1:<a");
  EXPECT_EQ(shown(added.split_raw("xa>b<a")), "x|3:a>b|1:<a");
  EXPECT_EQ(shown(added.split_raw("<a><a><a>x")), "2:<a>|4:<a><a>x");
  EXPECT_EQ(shown(added.split_normalized("<a>")), "<a>");  // these are not looked for there
}

TEST(AddedTokens, SingleWord) {
  const AddedTokens added = parse(R"([{"id": 1, "content": "word", "single_word": true, "normalized": false}])");
  EXPECT_EQ(shown(added.split_raw("word")), "1:word");
  EXPECT_EQ(shown(added.split_raw("a word, (word)")), "a |1:word|, (|1:word|)");
  for (const char* text : {"words", "sword", "word_", "1word", "word\u0301", "\u732bword", "word\u200d"}) {
    EXPECT_EQ(shown(added.split_raw(text)), text);
  }
}

TEST(AddedTokens, StripTakesWhiteSpaceAlong) {
  const AddedTokens added = parse(R"([{"id": 1, "content": "<l>", "lstrip": true, "normalized": false},
    {"id": 2, "content": "<r>", "rstrip": true, "normalized": false}])");
  EXPECT_EQ(shown(added.split_raw("a \t\u3000<l> b")), "a|1: \t\u3000<l>| b");
  EXPECT_EQ(shown(added.split_raw("a <r>\n\u00a0 b")), "a |2:<r>\n\u00a0 |b");
  EXPECT_EQ(shown(added.split_raw("<r>  <l>")), "2:<r>  |1:<l>");  // the spaces are taken only once
  EXPECT_EQ(shown(added.split_raw("\u00e9<l>")), "\u00e9|1:<l>");
}

TEST(AddedTokens, NormalizedOnesAreSoughtAsNormalized) {
  const AddedTokens added =
      parse(R"([{"id": 1, "content": "FOO", "normalized": true}, {"id": 2, "content": "foo", "normalized": true},
                {"id": 3, "content": "BAR", "special": true}])",
            R"({"type": "Lowercase"})");
  EXPECT_EQ(shown(added.split_normalized("a foo")), "a |1:foo");  // the first of two that look alike
  EXPECT_EQ(shown(added.split_raw("FOO BAR bar")), "FOO |3:BAR| bar");
  EXPECT_EQ(added.find(1)->spelling, "foo");
  EXPECT_EQ(added.find(3)->spelling, "BAR");
  EXPECT_EQ(added.find(4), nullptr);
}

}  // namespace
}  // namespace llm
