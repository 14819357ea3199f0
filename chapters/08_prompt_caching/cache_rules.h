// The rules that a service puts on top of a prefix cache.
#pragma once

#include <cstdint>
#include <functional>

#include "chapters/08_prompt_caching/cache_price.h"

namespace llm {

// Seconds since some moment; tests and the program turn it by hand.
using SecondsClock = std::function<double()>;
SecondsClock steady_clock();

struct CacheRules {
  // All of a text is cached; else its prompt up to the last of its breakpoints, and a hit ends where some request had
  // one.
  bool automatic = true;
  // Of a prompt, in tokens, or of its part before a breakpoint. What is shorter is not cached, and nobody is told.
  int32_t min_tokens = 0;
  // A block that nobody reads for so many seconds is not found any more.
  double ttl_seconds = 300.0;
  // Others find a prompt's blocks once its own first token is there, and not while it is still computed.
  bool after_first_token = true;
  CachePrice price = {};
};

}  // namespace llm
