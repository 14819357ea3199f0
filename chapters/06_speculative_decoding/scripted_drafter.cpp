#include "chapters/06_speculative_decoding/scripted_drafter.h"

#include <algorithm>

namespace llm {

std::vector<Draft> ScriptedDrafter::draft(std::span<const DraftRequest> requests) {
  std::vector<Draft> drafts;
  for (const DraftRequest& request : requests) {
    const std::vector<int32_t>& script = scripts_.at(request.sequence_id);
    const size_t end = std::min(script.size(), request.context.size() + static_cast<size_t>(request.max_tokens));
    Draft draft;
    for (size_t i = request.context.size(); i < end; ++i) {
      const bool right = std::bernoulli_distribution(acceptance_)(random_);
      draft.tokens.push_back(right ? script[i] : (script[i] + 1) % vocab_size_);
    }
    drafts.push_back(std::move(draft));
  }
  return drafts;
}

}  // namespace llm
