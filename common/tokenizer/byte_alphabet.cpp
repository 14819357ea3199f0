#include "common/tokenizer/byte_alphabet.h"

#include <array>

#include "common/tokenizer/unicode.h"

namespace llm {

namespace {

struct ByteAlphabet {
  std::array<std::string, 256> chars;
  std::array<int, 0x144> bytes;  // by code point

  ByteAlphabet() {
    bytes.fill(-1);
    char32_t next = 0x100;
    for (int byte = 0; byte < 256; ++byte) {
      const bool prints = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte != 0xAD);
      const char32_t code_point = prints ? static_cast<char32_t>(byte) : next++;
      append_utf8(chars[static_cast<size_t>(byte)], code_point);
      bytes[code_point] = byte;
    }
  }
};

const ByteAlphabet& alphabet() {
  static const ByteAlphabet instance;
  return instance;
}

}  // namespace

std::string_view byte_to_char(uint8_t byte) { return alphabet().chars[byte]; }

int char_to_byte(char32_t code_point) {
  const auto& bytes = alphabet().bytes;
  return code_point < bytes.size() ? bytes[code_point] : -1;
}

}  // namespace llm
