#include "exercises/05_grouped_query_attention.h"

#include <algorithm>

namespace llm::exercises {

const double kGqaGigabytes = 2.0 * 80 * 8 * 128 * 2 * 8192 / 1e9;
const double kMhaGigabytes = kGqaGigabytes * 64 / 8;
const double kMqaGigabytes = kGqaGigabytes / 8;

const int64_t kContextOfEqualReads = 16'060'000'000 / 16 / (2 * 32 * 8 * 128 * 2);
const int64_t kContextOfEqualReadsOfMha = kContextOfEqualReads * 8 / 32;

int kv_head_of(int head, int num_heads, int num_kv_heads) { return head / (num_heads / num_kv_heads); }

std::vector<int> possible_kv_heads(int num_heads, int num_kv_heads) {
  std::vector<int> possible;
  for (int heads = 1; heads <= num_heads; ++heads) {
    const bool is_even = num_kv_heads % heads == 0 || heads % num_kv_heads == 0;
    if (num_heads % heads == 0 && is_even) possible.push_back(heads);
  }
  return possible;
}

std::vector<float> mean_pool(std::span<const float> heads, int from_heads, int to_heads) {
  const size_t from = static_cast<size_t>(from_heads), to = static_cast<size_t>(to_heads), size = heads.size() / from;
  const size_t group = std::max<size_t>(from / to, 1);
  std::vector<float> pooled(to * size);
  for (size_t head = 0; head < to; ++head) {
    const size_t first = head * from / to;
    for (size_t member = first; member < first + group; ++member) {
      for (size_t i = 0; i < size; ++i) {
        pooled[head * size + i] += heads[member * size + i] / static_cast<float>(group);
      }
    }
  }
  return pooled;
}

}  // namespace llm::exercises
