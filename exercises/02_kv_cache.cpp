#include "exercises/02_kv_cache.h"

namespace llm::exercises {

// 2.1. A model of 24 layers, 16 query heads, 2 KV heads and head_dim 64. How many bytes of cache does a token take in
// bf16, and how many tokens fit in a cache of 10⁹ bytes?
const int64_t kKvBytesPerToken = 0;
const int64_t kTokensInAGigabyte = 0;

// 2.2. Somebody loses a card: the cache writes the token at position 5 to the slot of position 4, and attention finds
// in the slot of position 5 what nobody has written. After a prompt of two tokens, which generated token, counted from
// 0, is the first one whose logits are wrong?
const int kFirstWrongToken = 0;

// 2.3. Llama 3 8B has 8.03 · 10⁹ parameters, 32 layers, 32 query heads, 8 KV heads and head_dim 128. How many tokens of
// cache weigh as much as its weights, all in bf16? To one percent.
const int64_t kTokensAsHeavyAsTheWeights = 0;

// 2.4. One step of decode for one head: the new token's key and value join the cache, and its query meets all that
// stands there, softmax(q · Kᵀ / √head_dim) · V. Nothing of the earlier tokens is computed again.
std::vector<float> attend_next(std::span<const float> q, std::span<const float> k, std::span<const float> v,
                               HeadCache& cache) {
  return {};
}

}  // namespace llm::exercises
