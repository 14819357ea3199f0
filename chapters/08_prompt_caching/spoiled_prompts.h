// Pairs of prompts that look alike and share nothing, or less than they could, and the remedy for each.
#pragma once

#include <string>
#include <vector>

#include "chapters/08_prompt_caching/prefix_comparison.h"

namespace llm {

struct SpoiledPrompt {
  std::string what;
  PrefixComparison spoiled, mended;
};

// A clock at the start, a tool list that has changed, a space at a seam.
std::vector<SpoiledPrompt> spoiled_prompts(const Tokenizer& tokenizer, int32_t block_size);

std::string draw_spoiled_prompts(const std::vector<SpoiledPrompt>& prompts);

}  // namespace llm
