#include "exercises/05_grouped_query_attention.h"

namespace llm::exercises {

// 5.1. Llama 3 70B: 80 layers, 64 heads, 8 KV heads, head_dim 128, bf16. How many GB (10⁹ bytes) is the cache of 8,192
// tokens, and how many would it be as MHA and as MQA? To one percent.
const double kGqaGigabytes = 0;
const double kMhaGigabytes = 0;
const double kMqaGigabytes = 0;

// 5.2. Llama 3 8B has 16.06 GB of weights in bf16, 32 layers, 32 heads, 8 KV heads and head_dim 128. 16 texts of equal
// length decode together. At which length does a step read as much cache as weights? And if it were MHA? To one
// percent.
const int64_t kContextOfEqualReads = 0;
const int64_t kContextOfEqualReadsOfMha = 0;

// 5.3. Which KV head a query head reads: neighbors share one.
int kv_head_of(int head, int num_heads, int num_kv_heads) { return -1; }

// 5.4. Which numbers of KV heads a model can be converted to, in ascending order. Its query heads must fall into groups
// of equal size. Its own KV heads must do so too, or be repeated equally often.
std::vector<int> possible_kv_heads(int num_heads, int num_kv_heads) { return {}; }

// 5.5. Conversion: each group of neighbors becomes one head, their mean. Where `to_heads` is the larger number, each
// head is repeated instead, so that every query head finds what it had.
std::vector<float> mean_pool(std::span<const float> heads, int from_heads, int to_heads) { return {}; }

}  // namespace llm::exercises
