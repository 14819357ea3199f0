#include "chapters/06_speculative_decoding/ngram_drafter.h"

#include <algorithm>

namespace llm {

// region: look_up
std::vector<int32_t> look_up(std::span<const int32_t> context, int max_n, int max_tokens) {
  const auto size = std::ssize(context);
  for (int64_t n = std::min<int64_t>(max_n, size - 1); n >= 1 && max_tokens > 0; --n) {
    const auto last = context.end() - n;
    const auto found = std::search(context.begin(), context.end() - 1, last, context.end());
    if (found == context.end() - 1) continue;
    const auto next = found + n;
    return {next, next + std::min<int64_t>(max_tokens, context.end() - next)};
  }
  return {};
}
// endregion

std::vector<Draft> NgramDrafter::draft(std::span<const DraftRequest> requests) {
  std::vector<Draft> drafts;
  for (const DraftRequest& request : requests) {
    drafts.push_back({look_up(request.context, max_n_, request.max_tokens), {}});
  }
  return drafts;
}

}  // namespace llm
