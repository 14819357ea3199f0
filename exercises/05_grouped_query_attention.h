// The exercises of chapter 5; `./test exercise 5` checks them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace llm::exercises {

extern const double kGqaGigabytes, kMhaGigabytes, kMqaGigabytes;       // 5.1
extern const int64_t kContextOfEqualReads, kContextOfEqualReadsOfMha;  // 5.2

int kv_head_of(int head, int num_heads, int num_kv_heads);  // 5.3

std::vector<int> possible_kv_heads(int num_heads, int num_kv_heads);  // 5.4

// 5.5.   heads [from_heads, size]   result [to_heads, size]
std::vector<float> mean_pool(std::span<const float> heads, int from_heads, int to_heads);

}  // namespace llm::exercises
