// How surprised a model is by a text.
#pragma once

#include <cmath>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/program/loaded_model.h"

namespace llm {

// The text's documents: what stands between lines that are just `<|endoftext|>`. One where there is no such line.
std::vector<std::string_view> split_documents(std::string_view text);

// −log p(token | those before it in its window), natural, for every token but the first. Windows of `window` tokens
// move on by `stride`; a token is scored in the first window that holds it, so all but the first window's have at least
// window − stride tokens before them. Every token is scored once.
//   1 <= stride < window <= context_length
std::vector<double> token_losses(const Transformer& model, const std::vector<int32_t>& tokens, int window, int stride);

struct TextScore {
  double loss_sum = 0.0;  // of all tokens
  int64_t tokens = 0;     // that were scored
  size_t bytes = 0;       // of the documents

  double loss() const { return loss_sum / static_cast<double>(tokens); }
  double perplexity() const { return std::exp(loss()); }
};

// Each document on its own, after the tokens that the tokenizer puts first. The model must have a tokenizer; `source`
// is the flag or file that the documents came from. Throws InputError.
TextScore score_documents(const LoadedModel& model, std::span<const std::string_view> documents,
                          const std::string& source, int window, int stride);

}  // namespace llm
