// The text of a sequence as it may be shown while it is made: it ends before a stop string.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/tokenizer/tokenizer.h"

namespace llm {

// What could still become a stop string is held back until it can't, so that nothing shown is ever taken back. Where
// several stop strings are found, the one that begins first ends the text.
class OutputText {
 public:
  // Without a tokenizer there is no text. It must outlive this.
  OutputText(const Tokenizer* tokenizer, std::vector<std::string> stop);

  // The text that this token lets out, perhaps none.
  std::string push(int32_t token);
  // No token comes any more: the rest.
  std::string finish();

  bool stopped() const { return stopped_; }          // a stop string was found
  const std::string& text() const { return text_; }  // all that was let out

 private:
  std::string release(const std::string& more);
  std::string let_out(size_t length);

  std::optional<StreamDecoder> decoder_;
  std::vector<std::string> stop_;
  std::string held_, text_;
  bool stopped_ = false;
};

}  // namespace llm
