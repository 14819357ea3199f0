#include "common/tokenizer/pattern.h"

#include <gtest/gtest.h>

namespace llm {
namespace {

// The matches of an expression, each in brackets, and what lies between them.
std::string marked(std::string_view expression, std::string_view text) {
  std::string result;
  for (const Pattern::Span& span : Pattern::regex(expression, "test").split(text)) {
    const std::string part(text.substr(span.begin, span.end - span.begin));
    result += span.is_match ? "[" + part + "]" : part;
  }
  return result;
}

// As Oniguruma has them: marks (the dot below) belong to words, U+180E is no space.
TEST(Pattern, ClassesOfWordsAndSpaces) {
  EXPECT_EQ(marked(R"(\w+)", "a_\u0323é-3 \u00bd"), "[a_\u0323é]-[3] \u00bd");
  EXPECT_EQ(marked(R"(\W+)", "a_\u0323é-3 \u00bd"), "a_\u0323é[-]3[ \u00bd]");
  EXPECT_EQ(marked(R"(\s+)", "a\u00a0\t\u2028b\u180ec"), "a[\u00a0\t\u2028]b\u180ec");
  EXPECT_EQ(marked(R"(\S+)", "a\u00a0\t\u2028b\u180ec"), "[a]\u00a0\t\u2028[b\u180ec]");
  EXPECT_EQ(marked(R"([\s\w]+)", "a b-c"), "[a b]-[c]");
  EXPECT_EQ(marked(R"([^\S\n]+)", "a \t\n b"), "a[ \t]\n[ ]b");
}

TEST(Pattern, PosixClasses) {
  EXPECT_EQ(marked("[[:digit:]x]+", "ab12x-x"), "ab[12x]-[x]");
  EXPECT_EQ(marked("[^[:alpha:]]+", "ab12-é!"), "ab[12-]é[!]");
  EXPECT_EQ(marked("[a[:]+", "a:[b"), "[a:[]b") << "no class without its end";
}

TEST(Pattern, CharactersByNumberAndRepetitionsFromZero) {
  EXPECT_EQ(marked(R"([\u00e0-\u00ff]+)", "aéàb"), "a[éà]b");
  EXPECT_EQ(marked("xa{,2}", "xaaa x"), "[xaa]a [x]");
  EXPECT_EQ(marked("^a$", "a\na"), "[a]\n[a]") << "every line has a beginning and an end";
}

TEST(Pattern, EmptyMatchesCountWhereNoMatchHasJustEnded) {
  EXPECT_EQ(marked("b*", "abbc"), "[]a[bb]c[]");
  EXPECT_EQ(marked("", "é"), "[]é[]");
}

// The compiled code has 32 kB for going back; what needs more is interpreted.
TEST(Pattern, LongMatches) {
  const std::string text(200000, 'a');
  EXPECT_EQ(marked("(a|b)*", text + "c"), "[" + text + "]c[]");
}

}  // namespace
}  // namespace llm
