// The exercises of chapter 1; `./test exercise 1` checks them.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace llm::exercises {

extern const int64_t kTokenPasses, kTokenPassesNeeded;  // 1.1

int64_t count_token_passes(int64_t prompt, int64_t generated);  // 1.2

// 1.3. What a model says after `tokens`.
using NextToken = std::function<int32_t(std::span<const int32_t> tokens)>;
// The generated tokens, at most `max_tokens` and at least one; `end_of_text` ends them, and is kept as the last.
std::vector<int32_t> generate(const NextToken& next_token, const std::vector<int32_t>& prompt, int max_tokens,
                              int32_t end_of_text);

// 1.4.   probabilities, result [vocab_size], each summing to 1
std::vector<double> keep_top_p(std::span<const double> probabilities, double top_p);

}  // namespace llm::exercises
