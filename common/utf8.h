// Where a character of UTF-8 begins.
#pragma once

namespace llm {

// Whether the byte goes on with a character that began before it.
inline bool continues_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

}  // namespace llm
