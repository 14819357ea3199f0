#include "chapters/08_prompt_caching/prompt_cache.h"

#include <algorithm>
#include <chrono>

#include "common/error.h"

namespace llm {

SecondsClock steady_clock() {
  return [] { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); };
}

PromptCache::PromptCache(PagedKvCache& memory, const CacheRules& rules, SecondsClock clock, HashBlockFn hash)
    : memory_(memory),
      rules_(rules),
      clock_(std::move(clock)),
      prefixes_(memory.pool(), memory.block_size(), hash),
      records_(static_cast<size_t>(memory.pool().num_blocks())) {}

int32_t PromptCache::cacheable_len(const Sequence& sequence) const {
  const std::vector<int32_t>& breakpoints = sequence.request.breakpoints;
  const auto prompt_len = static_cast<int32_t>(sequence.generation.prompt().size());
  const int32_t last_breakpoint = breakpoints.empty() ? 0 : std::min(std::ranges::max(breakpoints), prompt_len);
  const int32_t prefix_len = rules_.automatic ? prompt_len : last_breakpoint;
  if (prefix_len < std::max(rules_.min_tokens, 1)) return 0;
  return rules_.automatic ? static_cast<int32_t>(sequence.generation.all().size()) : prefix_len;
}

// region: match
std::vector<int32_t> PromptCache::match(const Sequence& sequence) const {
  const double now = clock_();
  const auto is_usable = [&](int32_t block) {
    const BlockRecord& record = record_of(block);
    const bool is_visible = record.visible_to == kEverybody || record.visible_to == sequence.id;
    return is_visible && now - record.last_read < rules_.ttl_seconds;
  };
  std::vector<int32_t> blocks = prefixes_.match(sequence.generation.all(), sequence.request.salt, is_usable);
  const auto most = static_cast<size_t>(cacheable_len(sequence) / memory_.block_size());
  blocks.resize(std::min(blocks.size(), most));
  if (!rules_.automatic) {
    while (!blocks.empty() && !record_of(blocks.back()).ends_breakpoint) blocks.pop_back();
  }
  return blocks;
}
// endregion

// region: record
void PromptCache::record(const Sequence& sequence) {
  // What is computed, and known: tokens that are only drafted are in the cache already, but not in the text.
  const int32_t num_tokens = std::min(sequence.num_computed_tokens, cacheable_len(sequence));
  const auto num_full = static_cast<size_t>(num_tokens / memory_.block_size());
  const std::vector<int32_t> blocks = memory_.block_table(sequence.id);
  const auto tokens = std::span(sequence.generation.all()).first(static_cast<size_t>(num_tokens));
  const size_t num_known = prefixes_.record(tokens, blocks, sequence.request.salt);

  const bool is_visible = !rules_.after_first_token || !sequence.generation.token_ids().empty();
  const double now = clock_();
  for (size_t i = 0; i < num_full; ++i) {
    BlockRecord& record = record_of(blocks[i]);
    if (i >= num_known) record = {sequence.id};
    if (is_visible) record.visible_to = kEverybody;
    record.last_read = now;
  }
  for (const int32_t breakpoint : sequence.request.breakpoints) {
    const auto num_blocks = static_cast<size_t>(breakpoint / memory_.block_size());
    const bool is_cached = 0 < num_blocks && num_blocks <= num_full;
    if (is_cached && breakpoint >= rules_.min_tokens) record_of(blocks[num_blocks - 1]).ends_breakpoint = true;
  }
}
// endregion

CacheUsage PromptCache::usage_of(const Sequence& sequence) const {
  const auto prompt_len = static_cast<int32_t>(sequence.generation.prompt().size());
  const int32_t cacheable = std::min(prompt_len, cacheable_len(sequence));
  const int32_t in_full_blocks = cacheable / memory_.block_size() * memory_.block_size();
  const int32_t written = std::max(0, in_full_blocks - sequence.num_cached_tokens);
  return {sequence.num_cached_tokens, written, prompt_len - sequence.num_cached_tokens - written};
}

}  // namespace llm
