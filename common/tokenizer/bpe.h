// Byte pair encoding: a word starts as single characters, and the most important pair of neighbors that may merge does
// so, again and again, until none may. Sennrich, Haddow and Birch, "Neural Machine Translation of Rare Words with
// Subword Units", 2016.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/json/json.h"
#include "common/tokenizer/vocabulary.h"

namespace llm {

class Bpe {
 public:
  // The `model` of tokenizer.json. Throws InputError when it is malformed or of another type.
  static Bpe parse(const Json& json);

  const Vocabulary& vocabulary() const { return vocabulary_; }

  // Appends the ids of `word` (valid UTF-8) to `ids`. A character that the vocabulary lacks becomes its bytes' tokens
  // ("<0xE2>") where the file asks for byte_fallback, else the unknown token, else nothing.
  // Takes n log n steps for n characters.
  void encode(std::string_view word, std::vector<int32_t>& ids) const;

 private:
  // What a pair of neighbors becomes, and when: the smallest rank merges first.
  struct Merge {
    int32_t rank;
    int32_t id;
  };
  // A part of the word, in a doubly linked list, so that two parts become one without moving the others.
  struct Symbol {
    int32_t id;          // -1: merged into the symbol before it
    int32_t prev, next;  // -1: none
  };

  void parse_vocabulary(const Json& json);
  void parse_merges(const Json& json);
  void parse_unknown(const Json& json);

  std::vector<Symbol> first_symbols(std::string_view word) const;
  void merge(std::vector<Symbol>& symbols) const;
  const Merge* find_merge(int32_t left, int32_t right) const;

  Vocabulary vocabulary_;
  std::unordered_map<uint64_t, Merge> merges_;  // by the ids of the pair: left << 32 | right
  std::array<int32_t, 256> byte_ids_;           // of "<0x00>" to "<0xFF>"; -1: not there, or no byte_fallback
  int32_t unknown_id_ = -1;                     // -1: no unknown token
  bool fuse_unknown_ = false;                   // several unknown characters in a row are one token
  bool ignore_merges_ = false;                  // a word that is a token is that token, however it would merge
};

}  // namespace llm
