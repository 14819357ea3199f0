#include "chapters/08_prompt_caching/prompt_service.h"

#include <algorithm>

namespace llm {

PromptService::PromptService(const LoadedModel& model, const ServiceParams& params, AttendFn attend,
                             Engine::OnToken on_token)
    : dtype_(model.transformer->dtype()),
      cache_(model.config(),
             {params.num_blocks, params.block_size, static_cast<int32_t>(model.config().context_length),
              params.scheduler.max_running},
             dtype_, model.transformer->device()),
      prompts_(params.rules
                   ? std::optional<PromptCache>(std::in_place, cache_, *params.rules, params.clock, params.hash)
                   : std::nullopt),
      scheduler_(params.scheduler, cache_, prompts_ ? &*prompts_ : nullptr),
      engine_(model, cache_, scheduler_, attend, prompts_ ? &*prompts_ : nullptr, std::move(on_token)) {
  if (params.drafter != nullptr) engine_.speculate(*params.drafter, params.max_draft);
}

std::vector<const Sequence*> PromptService::serve(const std::vector<Request>& requests) {
  std::vector<const Sequence*> sequences;
  const int64_t first_step = engine_.next_step();
  for (Request request : requests) {
    request.arrival_step += first_step;
    sequences.push_back(&engine_.submit(std::move(request)));
  }
  most_shared_blocks_ = 0;
  while (engine_.step()) most_shared_blocks_ = std::max(most_shared_blocks_, count_shared_blocks());
  return sequences;
}

int32_t PromptService::count_shared_blocks() const {
  int32_t count = 0;
  for (int32_t block = 0; block < cache_.pool().num_blocks(); ++block) count += cache_.pool().is_shared(block);
  return count;
}

CacheUsage PromptService::usage_of(const Sequence& sequence) const {
  if (prompts_) return prompts_->usage_of(sequence);
  return {0, 0, std::ssize(sequence.generation.prompt())};
}

}  // namespace llm
