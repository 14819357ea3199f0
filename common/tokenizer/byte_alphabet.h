// The 256 characters that byte-level BPE writes for the 256 bytes, so that every byte is a visible character.
// Radford et al., "Language Models are Unsupervised Multitask Learners", 2019, and its published code: bytes that print
// in Latin-1 stand for themselves, the others, in their order, become U+0100 and following ("Ġ" is the space).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace llm {

// The character of a byte, as UTF-8.
std::string_view byte_to_char(uint8_t byte);

// The byte of a character; -1: it stands for none.
int char_to_byte(char32_t code_point);

}  // namespace llm
