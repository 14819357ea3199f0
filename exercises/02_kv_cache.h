// The exercises of chapter 2; `./test exercise 2` checks them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace llm::exercises {

extern const int64_t kKvBytesPerToken, kTokensInAGigabyte;  // 2.1
extern const int kFirstWrongToken;                          // 2.2
extern const int64_t kTokensAsHeavyAsTheWeights;            // 2.3

// 2.4. Keys and values of one head, of all tokens so far.
struct HeadCache {
  std::vector<float> keys, values;  // [num_tokens, head_dim]
};
// The next token's output.   q, k, v, result [head_dim]
std::vector<float> attend_next(std::span<const float> q, std::span<const float> k, std::span<const float> v,
                               HeadCache& cache);

}  // namespace llm::exercises
