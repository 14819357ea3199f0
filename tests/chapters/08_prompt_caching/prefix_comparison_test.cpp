#include "chapters/08_prompt_caching/prefix_comparison.h"

#include <gtest/gtest.h>

namespace llm {
namespace {

class PrefixComparisons : public testing::Test {
 protected:
  PrefixComparison compare(const std::string& first, const std::string& second, int32_t block_size = 4) const {
    return compare_prompts(tokenizer, first, second, block_size);
  }
  bool explains(const PrefixComparison& comparison, const std::string& part) const {
    return explain(comparison).find(part) != std::string::npos;
  }

  const Tokenizer tokenizer = Tokenizer::load("models/stories");
  const std::string story = "You tell stories to little children. They like stories about a cat and a red kite.";
};

TEST_F(PrefixComparisons, ATimestampAtTheStart) {
  const PrefixComparison c = compare("It is 9:41 now. " + story, "It is 9:42 now. " + story);
  EXPECT_EQ(c.parting, Parting::text);
  EXPECT_EQ(c.common_bytes, 9u);
  EXPECT_EQ(c.hit_blocks, 1u);
  EXPECT_GT(c.common_tail, 16u);
  EXPECT_TRUE(explains(c, "Move what differs behind them")) << explain(c);
  const PrefixComparison mended = compare(story + " It is 9:41 now.", story + " It is 9:42 now.");
  EXPECT_GT(mended.hit_blocks, 4u);
  EXPECT_FALSE(explains(mended, "Move"));
  // In blocks of 16 the first one is not even full.
  const PrefixComparison large = compare("It is 9:41 now. " + story, "It is 9:42 now. " + story, 16);
  EXPECT_EQ(large.hit_blocks, 0u);
  EXPECT_TRUE(explains(large, "within the first block of 16")) << explain(large);
}

TEST_F(PrefixComparisons, AChangedToolList) {
  const std::string head = "Tools: find, count";
  const PrefixComparison c = compare(head + ", draw. " + story, head + ". " + story);
  EXPECT_EQ(c.parting, Parting::text);
  EXPECT_EQ(c.common_bytes, head.size());
  EXPECT_GT(c.common_tail, 16u);
}

// The first text is how the second begins, but its last space is a token of its own and the second's is none.
TEST_F(PrefixComparisons, ASpaceAtASeam) {
  const PrefixComparison c = compare("Tom had a red ", "Tom had a red kite");
  EXPECT_EQ(c.parting, Parting::seam);
  EXPECT_EQ(c.common_bytes, 14u);
  EXPECT_EQ(c.common_token_bytes, 13u);
  EXPECT_EQ(c.common_tokens, c.tokens[0].size() - 1);
  EXPECT_TRUE(explains(c, "agree for 1 byte more")) << explain(c);
  EXPECT_EQ(compare("Tom had a red kite", "Tom had a red ").parting, Parting::seam) << "either way";
  EXPECT_EQ(compare("Tom had a red kite", "Tom had a red ball").parting, Parting::text) << "the space is the word's";
  const PrefixComparison mended = compare("Tom had a red", "Tom had a red kite");
  EXPECT_EQ(mended.parting, Parting::first_ends);
  EXPECT_EQ(mended.common_tokens, mended.tokens[0].size());
}

TEST_F(PrefixComparisons, EqualPrompts) {
  const PrefixComparison c = compare(story, story);
  EXPECT_EQ(c.parting, Parting::nowhere);
  EXPECT_EQ(c.common_tokens, c.tokens[0].size());
  EXPECT_EQ(c.common_tail, 0u) << "what is counted from the start is not counted again";
  EXPECT_EQ(c.hit_blocks, (c.tokens[0].size() - 1) / 4);
  const auto all = static_cast<int32_t>(c.tokens[0].size());
  EXPECT_TRUE(explains(compare(story, story, all), "computed again"));
  EXPECT_TRUE(explains(compare(story, story, all - 1), "all full blocks hit"));
}

TEST_F(PrefixComparisons, OneEndsFirst) {
  const PrefixComparison c = compare(story + " Be kind.", story);
  EXPECT_EQ(c.parting, Parting::second_ends);
  EXPECT_EQ(c.hit_blocks, (c.tokens[1].size() - 1) / 4);
}

TEST_F(PrefixComparisons, NothingAlikeAndNothingAtAll) {
  const PrefixComparison c = compare("Tom", "Lily", 1);
  EXPECT_EQ(c.common_bytes, 0u);
  EXPECT_EQ(c.common_tokens, 1u) << "the token that begins every text";
  EXPECT_EQ(c.hit_blocks, 1u);
  const PrefixComparison empty = compare("", "");
  EXPECT_EQ(empty.parting, Parting::nowhere);
  EXPECT_EQ(empty.hit_blocks, 0u);
}

// Two characters of several bytes each that begin alike: no half of one is counted or printed.
TEST_F(PrefixComparisons, WholeCharacters) {
  const PrefixComparison c = compare("a é b", "a è b", 1);
  EXPECT_EQ(c.common_bytes, 2u);
  const std::string drawn = draw_comparison(c, tokenizer);
  EXPECT_NE(drawn.find("\"a \", then\n      \"é b\"\n      \"è b\"\n"), std::string::npos) << drawn;
}

TEST_F(PrefixComparisons, Drawn) {
  EXPECT_EQ(draw_comparison(compare("Tom had a red ", "Tom had a red kite"), tokenizer),
            "  text:   14 bytes agree, of 14 and 18\n"
            "    \"Tom had a red \", then\n"
            "      (the end)\n"
            "      \"kite\"\n"
            "  tokens: 5 agree, of 6 and 6\n"
            "      \" \"\n"
            "      \" kite\"\n"
            "  blocks: 1 of 1 hit, 4 of 6 tokens\n"
            "  The texts agree for 1 byte more, but their tokens do not: a tokenizer joins letters across a seam, and "
            "equal text is not equal tokens.\n");
}

}  // namespace
}  // namespace llm
