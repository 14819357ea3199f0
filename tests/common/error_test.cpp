#include "common/error.h"

#include <gtest/gtest.h>

#include "tests/support/sentence_of.h"

namespace llm {
namespace {

// What stands in a file can't reach the terminal but as text.
TEST(Error, ASentenceIsOneLine) {
  EXPECT_SENTENCE(fail_input("c.json: type is \"{}\"; give another", "a\nb\x1B[2J\x7F\r"),
                  R"(c.json: type is "a\x0Ab\x1B[2J\x7F\x0D"; give another)");
  EXPECT_SENTENCE(fail_input("café"), "café");
}

TEST(Error, AVeryLongSentenceKeepsItsPlaceAndItsFix) {
  const std::string whole(1000, 'x');
  EXPECT_SENTENCE(fail_input("{}", whole), whole);
  EXPECT_LT(sentence_of([] { fail_input("{}", std::string(1000, '\n')); }).size(), 1010u) << "as it is shown";

  for (const size_t shift : {0, 1, 2}) {  // the cuts fall on each byte of a character
    std::string euros(shift, '-');
    for (int i = 0; i < 500; ++i) euros += "€";
    const std::string sentence = sentence_of([&] { fail_input("c.json: {} give another", euros); });
    EXPECT_LT(sentence.size(), 1010u);
    EXPECT_GT(sentence.size(), 990u);
    EXPECT_TRUE(sentence.starts_with("c.json: ")) << sentence;
    EXPECT_TRUE(sentence.ends_with("€ give another")) << sentence;
    EXPECT_NE(sentence.find("€ ... €"), std::string::npos) << sentence;
  }
}

}  // namespace
}  // namespace llm
