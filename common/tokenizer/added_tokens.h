// Tokens that stand beside the model's: cut out of a text before anything else, never merged with their neighbors.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/json/json.h"
#include "common/tokenizer/normalizer.h"
#include "common/tokenizer/vocabulary.h"

namespace llm {

struct AddedToken {
  std::string content;
  int32_t id;
  bool single_word;      // not within a word
  bool lstrip;           // takes the white space before it along
  bool rstrip;           // takes the white space after it along
  bool normalized;       // looked for in the normalized text
  bool special;          // left out of decoded text on request
  std::string spelling;  // what is looked for and what decoding starts from: the content, normalized where `normalized`
};

// A text's part: an added token, or plain text between two.
struct Segment {
  std::string_view text;
  int32_t id;  // -1: plain text
};

class AddedTokens {
 public:
  // The `added_tokens` of tokenizer.json. An id must be the model's own for a token the model has, else a free one.
  static AddedTokens parse(const Json& json, const Vocabulary& model, const Normalizer& normalizer);

  const Vocabulary& vocabulary() const { return vocabulary_; }
  const AddedToken* find(int32_t id) const;  // nullptr: not an added one

  // Cuts valid UTF-8 at the tokens that are looked for before normalizing, and at those looked for after it.
  // Of several that match, the leftmost wins, then the longest.
  std::vector<Segment> split_raw(std::string_view text) const { return split(text, raw_); }
  std::vector<Segment> split_normalized(std::string_view text) const { return split(text, normalized_); }

 private:
  // Strings to be looked for, sorted.
  struct Needles {
    struct Needle {
      std::string text;
      size_t token;  // index into tokens_
    };
    std::vector<Needle> sorted;
    std::array<bool, 256> starts_with{};  // whether any needle starts with this byte

    void add(std::string text, size_t token);
    void sort();
    const Needle* longest_at(std::string_view text) const;  // a prefix of `text`; nullptr: none
  };

  std::vector<Segment> split(std::string_view text, const Needles& needles) const;

  std::vector<AddedToken> tokens_;
  Vocabulary vocabulary_;
  std::unordered_map<int32_t, size_t> by_id_;  // indices into tokens_
  Needles raw_, normalized_;
};

}  // namespace llm
