// UTF-8 and the few properties of characters that tokenizers ask for.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace llm {

// What stands at one end of some bytes.
struct Utf8Char {
  size_t length;        // bytes it takes, at least 1
  bool valid;           // one whole character; else a maximal subpart of one, which U+FFFD replaces
  bool unfinished;      // not valid, but more bytes could make it so
  char32_t code_point;  // of a valid character
};

// The first character of `bytes`, which may not be empty. Well-formed and maximal subpart as Unicode 15, section 3.9,
// table 3-7 and "U+FFFD Substitution of Maximal Subparts", define them.
Utf8Char utf8_front(std::string_view bytes);

// The last character of `text`, which must be valid UTF-8 and may not be empty.
Utf8Char utf8_back(std::string_view text);

// `bytes` with U+FFFD for every maximal subpart that is no character, as Python's decode("utf-8", errors="replace").
std::string repair_utf8(std::string_view bytes);

void append_utf8(std::string& text, char32_t code_point);

bool is_ascii(std::string_view text);
bool is_space(char32_t code_point);      // Unicode's White_Space
bool is_word_char(char32_t code_point);  // \w of Unicode Technical Standard 18: letters, marks, digits, connectors

inline constexpr std::string_view kReplacementChar = "\uFFFD";

}  // namespace llm
