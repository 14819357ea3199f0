#include "chapters/08_prompt_caching/cache_price.h"

#include "common/error.h"

namespace llm {

CacheUsage& CacheUsage::operator+=(const CacheUsage& other) {
  cached_tokens += other.cached_tokens;
  written_tokens += other.written_tokens;
  fresh_tokens += other.fresh_tokens;
  return *this;
}

double cost_of(const CacheUsage& usage, const CachePrice& price) {
  return price.read * static_cast<double>(usage.cached_tokens) +
         price.write * static_cast<double>(usage.written_tokens) + static_cast<double>(usage.fresh_tokens);
}

int break_even_use(const CachePrice& price) {
  require(price.read < 1.0, "reading costs {} of a fresh token", price.read);
  int uses = 1;
  while (price.write + (uses - 1) * price.read >= uses) ++uses;
  return uses;
}

}  // namespace llm
