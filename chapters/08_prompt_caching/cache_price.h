// What a prompt costs where reading from a cache is cheap and writing to it is not free.
#pragma once

#include <cstdint>

namespace llm {

// The tokens of a request's prompt, each in one of three ways.
struct CacheUsage {
  int64_t cached_tokens = 0;   // read from the cache
  int64_t written_tokens = 0;  // computed, and kept for others
  int64_t fresh_tokens = 0;    // computed, and of no use to others

  int64_t prompt_tokens() const { return cached_tokens + written_tokens + fresh_tokens; }
  CacheUsage& operator+=(const CacheUsage& other);
};

// Of a token, where a fresh one costs 1.
struct CachePrice {
  double write = 1.25;
  double read = 0.1;
};

// Of a prompt, in fresh tokens.
double cost_of(const CacheUsage& usage, const CachePrice& price);

// From which use on a prefix is cheaper than without a cache: the first n with write + (n − 1) · read < n.
int break_even_use(const CachePrice& price);

}  // namespace llm
