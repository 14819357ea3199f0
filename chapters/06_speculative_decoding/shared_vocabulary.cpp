#include "chapters/06_speculative_decoding/shared_vocabulary.h"

namespace llm {

void check_shared_vocabulary(const LoadedModel& target, const LoadedModel& draft) {
  const int target_size = target.config().vocab_size, draft_size = draft.config().vocab_size;
  if (target_size != draft_size) {
    fail_input("--draft-model {} has {} token ids, but {} has {}; give a draft model with the same vocabulary",
               draft.name, draft_size, target.name, target_size);
  }
  if (!target.tokenizer || !draft.tokenizer) return;
  for (int32_t id = 0; id < target_size; ++id) {
    const std::string ours = target.tokenizer->token(id), theirs = draft.tokenizer->token(id);
    if (ours == theirs) continue;
    fail_input(
        "--draft-model {} calls token {} \"{}\", but {} calls it \"{}\"; give a draft model with the same "
        "vocabulary",
        draft.name, id, theirs, target.name, ours);
  }
}

}  // namespace llm
