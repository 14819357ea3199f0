// Where two prompts part, in text and in tokens, and how much of the first one's work the second can use.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/tokenizer/tokenizer.h"

namespace llm {

enum class Parting {
  nowhere,      // the prompts are equal
  first_ends,   // the second goes on where the first ends
  second_ends,  // the other way around
  text,         // their texts part
  seam,         // their tokens part where their texts still agree: a token ends in one and goes on in the other
};

struct PrefixComparison {
  std::string texts[2];
  std::vector<int32_t> tokens[2];
  size_t common_bytes = 0;        // from the start, whole characters
  size_t common_tokens = 0;       // from the start
  size_t common_token_bytes = 0;  // of the text that these tokens stand for
  size_t common_tail = 0;         // tokens at the end that are alike again
  size_t hit_blocks = 0;          // of the second prompt, if the first one was served before
  size_t num_blocks = 0;          // full ones of the second prompt
  int32_t block_size = 0;
  Parting parting = Parting::nowhere;
};

PrefixComparison compare_prompts(const Tokenizer& tokenizer, std::string_view first, std::string_view second,
                                 int32_t block_size);

// Why no more blocks hit, in a sentence or two.
std::string explain(const PrefixComparison& comparison);

// The place where they part, in text and in tokens, the blocks, and why: some lines.
std::string draw_comparison(const PrefixComparison& comparison, const Tokenizer& tokenizer);

}  // namespace llm
