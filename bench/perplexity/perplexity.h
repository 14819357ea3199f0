// How surprised a model is by a text.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "common/model/transformer.h"

namespace llm {

// The text's documents: what stands between lines that are just `<|endoftext|>`. One where there is no such line.
std::vector<std::string_view> split_documents(std::string_view text);

// −log p(token | those before it in its window), natural, for every token but the first. Windows of `window` tokens
// move on by `stride`; a token is scored in the first window that holds it, so all but the first window's have at least
// window − stride tokens before them. Every token is scored once.
//   1 <= stride < window <= context_length
std::vector<double> token_losses(const Transformer& model, const std::vector<int32_t>& tokens, int window, int stride);

}  // namespace llm
