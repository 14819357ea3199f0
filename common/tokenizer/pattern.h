// The patterns of tokenizer files: literal strings, and regular expressions as Hugging Face's library reads them.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/json/json.h"

struct pcre2_real_code_8;

namespace llm {

// A compiled pattern. Cheap to copy; may be used by several threads at once.
//
// Regular expressions are written for Oniguruma and run by PCRE2 with Unicode classes. The two differ in small things;
// those are translated (\s, \w, \uHHHH, {,n}) or refused (classes within classes, \h), never silently misread.
class Pattern {
 public:
  // {"Regex": "..."} or {"String": "..."}. Throws InputError when it is neither or can't be compiled.
  static Pattern parse(const Json& json);
  // `where` names the place in messages: "tokenizer.json: pre_tokenizer.pattern.Regex".
  static Pattern regex(std::string_view expression, std::string where);
  static Pattern literal(std::string_view string, std::string where);

  struct Span {
    size_t begin, end;
    bool is_match;
  };
  // Cuts valid UTF-8 into matches and what lies between them, in order and without a gap. Matches may be empty.
  // Throws InputError when the expression needs too many steps on this text.
  std::vector<Span> split(std::string_view text) const;

 private:
  Pattern(const std::string& expression, uint32_t options, std::string where);

  std::shared_ptr<pcre2_real_code_8> code_;
  std::string where_;
};

}  // namespace llm
