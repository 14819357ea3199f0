// What a program says when it is given something it can't use.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "common/utf8.h"

namespace llm {

// A mistake in what the user gave: one sentence that names the file, the field and the fix.
// A program prints it and exits with code 2 (see run_program in common/program/program.h).
class InputError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// One line for a terminal, whatever a file had in it: control characters are spelled out, and what is too long to be
// read is cut in the middle, for the place stands at the front and the fix at the end.
inline std::string one_line(std::string_view text) {
  std::string line;
  for (const char c : text) {
    const bool is_control = static_cast<unsigned char>(c) < ' ' || c == 0x7F;
    line += is_control ? fmt::format("\\x{:02X}", c) : std::string(1, c);
  }
  constexpr size_t kFront = 700, kBack = 300;
  if (line.size() <= kFront + kBack) return line;
  size_t front = kFront, back = line.size() - kBack;
  while (front > 0 && continues_character(line[front])) --front;
  while (back < line.size() && continues_character(line[back])) ++back;
  return line.substr(0, front) + " ... " + line.substr(back);
}

template <class... Args>
[[noreturn]] void fail_input(fmt::format_string<Args...> format, Args&&... args) {
  throw InputError(one_line(fmt::format(format, std::forward<Args>(args)...)));
}

// A mistake in this program: a broken precondition. Never shown for bad input.
template <class... Args>
void require(bool condition, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) throw std::logic_error(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace llm
