// Cuts a text into the words that are encoded one by one: no token reaches across a cut.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "common/json/json.h"

namespace llm {

// ByteLevel, Split, Digits, Metaspace, and Sequence of these.
class PreTokenizer {
 public:
  // The `pre_tokenizer` of tokenizer.json; null: a text is one word. Throws InputError for any other kind.
  static PreTokenizer parse(const Json& json);

  // Calls `visit` with every word, in order, in the spelling that the vocabulary uses ("Ġred", "▁red").
  // `at_start`: `text` begins where the whole input begins (Metaspace's prepend_scheme "first" asks for it).
  void split(std::string_view text, bool at_start, const std::function<void(std::string_view word)>& visit) const;

 private:
  struct Piece {
    std::string_view text;
    bool at_start;
  };
  using Next = std::function<void(Piece)>;
  using Step = std::function<void(Piece, const Next&)>;  // hands on the pieces of a piece

  static Step byte_level(const Json& json);
  static Step split_by_pattern(const Json& json);
  static Step digits(const Json& json);
  static Step metaspace(const Json& json);

  void add(const Json& json);
  void run(size_t step, Piece piece, const std::function<void(std::string_view)>& visit) const;

  std::vector<Step> steps_;
  bool has_byte_level_ = false;
};

}  // namespace llm
