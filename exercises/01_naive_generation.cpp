#include "exercises/01_naive_generation.h"

namespace llm::exercises {

// 1.1. Chapter 1 generates 20 tokens after a prompt of 30. How many tokens go through the model in all, repeated ones
// too, and how many would have done? (The last token that comes out is never fed.)
const int64_t kTokenPasses = 0;
const int64_t kTokenPassesNeeded = 0;

// 1.2. The first number for any prompt and any length, without a loop.
int64_t count_token_passes(int64_t prompt, int64_t generated) { return 0; }

// 1.3. The loop of chapter 1, for any model.
std::vector<int32_t> generate(const NextToken& next_token, const std::vector<int32_t>& prompt, int max_tokens,
                              int32_t end_of_text) {
  return {};
}

// 1.4. Of the most likely tokens the fewest whose probabilities reach `top_p` in sum, at least one; all others become
// 0, and what is kept is divided by its sum. Of equally likely tokens the lower id stays first.
std::vector<double> keep_top_p(std::span<const double> probabilities, double top_p) { return {}; }

}  // namespace llm::exercises
