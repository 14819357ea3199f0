#include "chapters/07_continuous_batching/static_scheduler.h"

#include <algorithm>

namespace llm {

// region: schedule
StepPlan StaticScheduler::schedule() {
  const bool first_step = start_batch();
  StepPlan plan;
  int32_t longest = 0, total = 0;
  for (Sequence* s : running_) {
    plan.scheduled.push_back({s, s->num_uncomputed_tokens()});
    longest = std::max(longest, s->num_uncomputed_tokens());
    total += s->num_uncomputed_tokens();
  }
  if (padding_ == Padding::skipped) return plan;
  plan.num_padding = batch_size_ * longest - total;
  plan.padding_rows = first_step ? LogitRows::none : LogitRows::last;  // a text that has ended was sampled on
  return plan;
}

bool StaticScheduler::start_batch() {
  if (!running_.empty()) return false;
  batch_size_ = 0;
  while (!waiting_.empty() && batch_size_ < params_.max_running) {
    Sequence& s = *waiting_.front();
    if (!cache_.allocate(s.id, most_tokens(s.request))) break;  // for all its steps: nobody is preempted
    start(s);
    ++batch_size_;
  }
  return true;
}
// endregion

}  // namespace llm
