// The first thing done to a text: Unicode normalization, and the replacements SentencePiece-style files ask for.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/json/json.h"

namespace llm {

// NFC, NFD, NFKC, NFKD, Lowercase, Prepend, Replace, and Sequence of these.
class Normalizer {
 public:
  // The `normalizer` of tokenizer.json; null: texts stay as they are. Throws InputError for any other kind.
  static Normalizer parse(const Json& json);

  // Valid UTF-8 in and out.
  std::string normalize(std::string text) const;

 private:
  void add(const Json& json);
  using Step = std::function<std::string(std::string)>;
  std::vector<Step> steps_;
  std::string where_;  // for messages
};

}  // namespace llm
