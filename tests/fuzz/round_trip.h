// What holds of any tokenizer and any text.
#pragma once

#include <vector>

#include "common/tokenizer/tokenizer.h"
#include "tests/fuzz/fuzzing.h"

namespace llm {

// Decodes token by token, as a text is shown while it grows: no part may be half a character, and together they are the
// text of all tokens.
inline std::string decode_as_it_grows(const Tokenizer& tokenizer, const std::vector<int32_t>& ids, bool skip_special) {
  StreamDecoder decoder(tokenizer, skip_special);
  std::string text;
  const auto add = [&](const std::string& part) {
    check(is_utf8(part), "a part of the text is whole characters");
    text += part;
  };
  for (const int32_t id : ids) add(decoder.push(id));
  add(decoder.finish());
  check(text == tokenizer.decode(ids, skip_special), "the parts together are the text");
  return text;
}

inline std::vector<int32_t> checked_encode(const Tokenizer& tokenizer, std::string_view text, bool add_special) {
  const std::vector<int32_t> ids = tokenizer.encode(text, add_special);
  for (const int32_t id : ids) check(id >= 0 && id < tokenizer.vocab_size(), "an id is one of the vocabulary");
  return ids;
}

}  // namespace llm
