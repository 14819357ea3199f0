// Drafts copied from the text itself: prompt lookup.
// Saxena, "Prompt Lookup Decoding", 2023.
#pragma once

#include "chapters/06_speculative_decoding/drafter.h"

namespace llm {

// What followed, at an earlier place, on the last n tokens: of all n up to `max_n` the longest that has been there
// before, and of its places the first. Nothing has been there before: no draft.
class NgramDrafter : public Drafter {
 public:
  explicit NgramDrafter(int max_n) : max_n_(max_n) {}

  std::vector<Draft> draft(std::span<const DraftRequest> requests) override;

 private:
  int max_n_;
};

// The at most `max_tokens` tokens of such a draft.
std::vector<int32_t> look_up(std::span<const int32_t> context, int max_n, int max_tokens);

}  // namespace llm
