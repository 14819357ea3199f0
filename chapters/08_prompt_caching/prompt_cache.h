// A service's prompt cache: a prefix cache with rules. The scheduler of chapter 7 asks it for blocks.
#pragma once

#include <limits>

#include "chapters/03_paged_attention/paged_kv_cache.h"
#include "chapters/07_continuous_batching/prefix_source.h"
#include "chapters/08_prompt_caching/cache_rules.h"
#include "chapters/08_prompt_caching/prefix_cache.h"

namespace llm {

class PromptCache : public PrefixSource {
 public:
  // `memory` must outlive it.
  PromptCache(PagedKvCache& memory, const CacheRules& rules, SecondsClock clock = steady_clock(),
              HashBlockFn hash = hash_block);

  std::vector<int32_t> match(const Sequence& sequence) const override;
  void record(const Sequence& sequence) override;

  // Whether the rules leave nothing of its prompt to cache.
  bool is_too_short(const Sequence& sequence) const { return cacheable_len(sequence) == 0; }
  // Of its prompt, once it has its first token.
  CacheUsage usage_of(const Sequence& sequence) const;

  const CacheRules& rules() const { return rules_; }
  const PrefixCache& prefixes() const { return prefixes_; }

 private:
  static constexpr int32_t kEverybody = -1;

  // What the rules know of a block, for as long as the prefix cache knows it.
  struct BlockRecord {
    int32_t visible_to = kEverybody;  // or a sequence's id
    double last_read = 0.0;
    bool ends_breakpoint = false;
  };
  BlockRecord& record_of(int32_t block) { return records_[static_cast<size_t>(block)]; }
  const BlockRecord& record_of(int32_t block) const { return records_[static_cast<size_t>(block)]; }

  // How many of a text's known tokens, the first ones, may be read or written; 0: too few.
  int32_t cacheable_len(const Sequence& sequence) const;

  const PagedKvCache& memory_;
  CacheRules rules_;
  SecondsClock clock_;
  PrefixCache prefixes_;
  std::vector<BlockRecord> records_;  // [num_blocks]
};

}  // namespace llm
