#include "exercises/02_kv_cache.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace llm::exercises {

const int64_t kKvBytesPerToken = 2 * 24 * 2 * 64 * 2;  // K and V, layers, KV heads, head_dim, bytes; no query heads
const int64_t kTokensInAGigabyte = 1'000'000'000 / kKvBytesPerToken;

// The prompt has the positions 0 and 1, so generated token 3 stands at position 5. Only when it passes through the
// model is anything written to the wrong place, and what comes out then is token 4.
const int kFirstWrongToken = 4;

const int64_t kTokensAsHeavyAsTheWeights = 2 * 8'030'000'000 / (2 * 32 * 8 * 128 * 2);

std::vector<float> attend_next(std::span<const float> q, std::span<const float> k, std::span<const float> v,
                               HeadCache& cache) {
  cache.keys.insert(cache.keys.end(), k.begin(), k.end());
  cache.values.insert(cache.values.end(), v.begin(), v.end());
  const size_t head_dim = q.size(), num_tokens = cache.keys.size() / head_dim;
  const auto row = [&](const std::vector<float>& rows, size_t token) {
    return std::span(rows).subspan(token * head_dim, head_dim);
  };

  std::vector<float> weights(num_tokens);
  for (size_t token = 0; token < num_tokens; ++token) {
    const std::span<const float> key = row(cache.keys, token);
    weights[token] =
        std::inner_product(q.begin(), q.end(), key.begin(), 0.0f) / std::sqrt(static_cast<float>(head_dim));
  }
  const float largest = *std::ranges::max_element(weights);
  float sum = 0.0f;
  for (float& weight : weights) sum += weight = std::exp(weight - largest);

  std::vector<float> out(head_dim);
  for (size_t token = 0; token < num_tokens; ++token) {
    for (size_t d = 0; d < head_dim; ++d) out[d] += weights[token] / sum * row(cache.values, token)[d];
  }
  return out;
}

}  // namespace llm::exercises
