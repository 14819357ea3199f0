#include "common/tokenizer/unicode.h"

#include <gtest/gtest.h>

namespace llm {
namespace {

TEST(Unicode, RepairReplacesMaximalSubparts) {
  const struct {
    std::string_view bytes, text;
  } cases[] = {
      {"", ""},
      {"plain", "plain"},
      {std::string_view("a\0b", 3), std::string_view("a\0b", 3)},
      {"\u00e9\u732b\U0001F642", "\u00e9\u732b\U0001F642"},
      {"\xff\xfe", "\uFFFD\uFFFD"},
      {"a\xc3", "a\uFFFD"},
      {"\xc3(", "\uFFFD("},
      {"\xe2\x82", "\uFFFD"},
      {"\xe2\x82x", "\uFFFDx"},
      {"\xf0\x9f\x99", "\uFFFD"},
      {"\xf0\x9f\xf0\x9f\x99\x82", "\uFFFD\U0001F642"},
      {"\x80\x80", "\uFFFD\uFFFD"},
      {"\xc0\x80", "\uFFFD\uFFFD"},            // overlong
      {"\xe0\x80\xaf", "\uFFFD\uFFFD\uFFFD"},  // overlong
      {"\xf0\x80\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD"},
      {"\xed\xa0\x80", "\uFFFD\uFFFD\uFFFD"},            // a surrogate
      {"\xed\x9f\xbf", "\uD7FF"},                        // the last before them
      {"\xf4\x90\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD"},  // beyond U+10FFFF
      {"\xf4\x8f\xbf\xbf", "\U0010FFFF"},
      // The example of Unicode 15, table 3-11.
      {"\x61\xf1\x80\x80\xe1\x80\xc2\x62\x80\x63\x80\xbf\x64", "a\uFFFD\uFFFD\uFFFDb\uFFFDc\uFFFD\uFFFDd"},
  };
  for (const auto& one : cases) EXPECT_EQ(repair_utf8(one.bytes), one.text);
}

TEST(Unicode, EveryCharacterThereAndBack) {
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c == 0xD800) c = 0xE000;
    std::string text = "x";
    append_utf8(text, c);
    const Utf8Char front = utf8_front(std::string_view(text).substr(1));
    ASSERT_TRUE(front.valid && front.code_point == c && front.length == text.size() - 1) << static_cast<uint32_t>(c);
    ASSERT_EQ(utf8_back(text).code_point, c);
    ASSERT_EQ(utf8_back(text).length, front.length);
    for (size_t cut = 1; cut < front.length; ++cut) {
      const Utf8Char half = utf8_front(std::string_view(text).substr(1, cut));
      ASSERT_TRUE(!half.valid && half.unfinished && half.length == cut) << static_cast<uint32_t>(c);
    }
  }
}

TEST(Unicode, SpacesAndWords) {
  for (const char32_t c : {0x09, 0x0A, 0x0D, 0x20, 0x85, 0xA0, 0x1680, 0x2003, 0x2028, 0x2029, 0x202F, 0x3000}) {
    EXPECT_TRUE(is_space(c)) << static_cast<uint32_t>(c);
  }
  for (const char32_t c : {0x08, 0x1F, 0x41, 0x180E, 0x200B, 0x2060, 0xFEFF}) {
    EXPECT_FALSE(is_space(c)) << static_cast<uint32_t>(c);
  }
  for (const char32_t c : {0x41, 0x7A, 0x39, 0x5F, 0xE9, 0x301, 0x663, 0x200D, 0x2167, 0x24B6, 0x732B, 0x203F}) {
    EXPECT_TRUE(is_word_char(c)) << static_cast<uint32_t>(c);
  }
  for (const char32_t c : {0x20, 0x2D, 0xBD, 0x2460, 0x1F642, 0x3002, 0x200B}) {
    EXPECT_FALSE(is_word_char(c)) << static_cast<uint32_t>(c);
  }
}

}  // namespace
}  // namespace llm
