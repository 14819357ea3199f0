#include "chapters/07_continuous_batching/output_text.h"

#include <gtest/gtest.h>

namespace llm {
namespace {

using Strings = std::vector<std::string>;

class OutputTextTest : public testing::Test {
 protected:
  // Pushes the text byte by byte, as if each were a token; returns what came out after each.
  Strings push_each(OutputText& output, const std::string& text) const {
    Strings out;
    for (const char c : text) out.push_back(output.push(tokenizer.encode(std::string(1, c)).front()));
    return out;
  }

  Tokenizer tokenizer = Tokenizer::load("tests/reference/tokenizer/gpt2");
};

TEST_F(OutputTextTest, WithoutStopStringsAllComesAtOnce) {
  OutputText output(&tokenizer, {});
  EXPECT_EQ(push_each(output, "abc"), (Strings{"a", "b", "c"}));
  EXPECT_EQ(output.finish(), "");
  EXPECT_EQ(output.text(), "abc");
  EXPECT_FALSE(output.stopped());
}

TEST_F(OutputTextTest, WhatMayBecomeAStopStringIsHeldBack) {
  OutputText output(&tokenizer, {"END"});
  EXPECT_EQ(push_each(output, "xENEND"), (Strings{"x", "", "", "EN", "", ""}));
  EXPECT_TRUE(output.stopped());
  EXPECT_EQ(output.text(), "xEN") << "ends before the stop string";
  EXPECT_EQ(output.push(5), "") << "nothing comes behind it";
  EXPECT_EQ(output.finish(), "");
}

TEST_F(OutputTextTest, TheRestComesWhenTheTextIsOver) {
  OutputText output(&tokenizer, {"END"});
  EXPECT_EQ(push_each(output, "aEN"), (Strings{"a", "", ""}));
  EXPECT_EQ(output.finish(), "EN");
  EXPECT_EQ(output.text(), "aEN");
  EXPECT_FALSE(output.stopped());
}

TEST_F(OutputTextTest, TheFirstOfSeveralEndsIt) {
  OutputText output(&tokenizer, {"cd", "bcx", "abcde"});
  EXPECT_EQ(push_each(output, "abcd"), (Strings{"", "", "", "ab"})) << "abc may become abcde until cd has ended it";
  EXPECT_TRUE(output.stopped());
  OutputText repeated(&tokenizer, {"aab"});
  EXPECT_EQ(push_each(repeated, "aaaab"), (Strings{"", "", "a", "a", ""})) << "the beginning may begin anew";
  EXPECT_TRUE(repeated.stopped());
}

// A token may bring the stop string's end and more: what stands behind it is dropped.
TEST_F(OutputTextTest, OneTokenMayHoldItAll) {
  OutputText output(&tokenizer, {"he"});
  const std::vector<int32_t> ids = tokenizer.encode(" there");
  ASSERT_EQ(ids.size(), 1u);
  EXPECT_EQ(output.push(ids[0]), " t");
  EXPECT_TRUE(output.stopped());
}

TEST_F(OutputTextTest, WithoutATokenizerThereIsNoText) {
  OutputText output(nullptr, {});
  EXPECT_EQ(output.push(7), "");
  EXPECT_EQ(output.finish(), "");
}

}  // namespace
}  // namespace llm
