#include "chapters/07_continuous_batching/scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace llm {

// ---- who comes before whom ----

bool Scheduler::is_more_urgent(const Sequence* a, const Sequence* b) const {
  const auto rank = [&](const Sequence& s) {
    const int32_t priority = params_.policy == Policy::priority ? s.request.priority : 0;
    return std::tuple(priority, s.request.arrival_step, s.id);
  };
  return rank(*a) < rank(*b);
}

void Scheduler::insert(std::deque<Sequence*>& queue, Sequence& sequence) const {
  const auto place = std::upper_bound(queue.begin(), queue.end(), &sequence,
                                      [&](const Sequence* a, const Sequence* b) { return is_more_urgent(a, b); });
  queue.insert(place, &sequence);
}

// ---- coming and going ----

int32_t Scheduler::most_tokens(const Request& request) const {
  const int64_t longest = std::ssize(request.prompt) + request.params.max_tokens;
  return static_cast<int32_t>(std::min<int64_t>(longest, cache_.max_length())) - 1;  // the last is never fed
}

std::string Scheduler::refusal(const Request& request) const {
  if (std::ssize(request.prompt) >= cache_.max_length()) {
    return fmt::format("its prompt has {} tokens, but a text has {} at most and one of them must be new",
                       request.prompt.size(), cache_.max_length());
  }
  const int32_t num_blocks = cache_.num_blocks_for(most_tokens(request));
  if (num_blocks <= cache_.pool().num_blocks()) return "";
  return fmt::format("its prompt of {} tokens and up to {} more take {} blocks of {}, but there are {} in all",
                     request.prompt.size(), request.params.max_tokens, num_blocks, cache_.block_size(),
                     cache_.pool().num_blocks());
}

void Scheduler::add(Sequence& sequence) { insert(waiting_, sequence); }

void Scheduler::start(Sequence& sequence) {
  std::erase(waiting_, &sequence);
  const auto taken = [&](int32_t slot) {
    return std::ranges::any_of(running_, [&](const Sequence* s) { return s->slot == slot; });
  };
  sequence.slot = 0;
  while (taken(sequence.slot)) ++sequence.slot;
  insert(running_, sequence);
}

void Scheduler::remove(Sequence& sequence) {
  std::erase(waiting_, &sequence);
  std::erase(running_, &sequence);
  cache_.release(sequence.id);
}

// ---- a step ----

// region: schedule
StepPlan Scheduler::schedule() {
  StepPlan plan;
  int32_t budget = params_.token_budget;
  const auto take = [&](Sequence& s, int32_t num_tokens) {
    s.draft.shorten(static_cast<size_t>(num_tokens - 1));  // to what there is budget for
    plan.scheduled.push_back({&s, num_tokens});
    budget -= num_tokens;
  };

  for (size_t i = 0; i < running_.size() && budget > 0; ++i) {
    Sequence& s = *running_[i];
    const int32_t num_tokens = make_room(s, next_chunk(s, budget), plan);
    if (num_tokens == 0) break;  // s was the last and has gone itself
    take(s, num_tokens);
  }

  if (!plan.preempted.empty()) return plan;  // there is no room: nobody new
  while (!waiting_.empty() && std::ssize(running_) < params_.max_running && budget > 0) {
    Sequence& s = *waiting_.front();
    if (!admit(s)) break;  // and nobody behind it, or the long ones would wait for ever
    const int32_t num_tokens = next_chunk(s, budget);
    require(cache_.allocate(s.id, num_tokens), "no room for a chunk of what there was room for");
    take(s, num_tokens);
  }
  return plan;
}

int32_t Scheduler::next_chunk(const Sequence& sequence, int32_t budget) const {
  return std::min({sequence.num_uncomputed_tokens(), budget, params_.max_chunk});
}
// endregion

// region: preempt
int32_t Scheduler::make_room(Sequence& sequence, int32_t num_tokens, StepPlan& plan) {
  // Nobody goes for the sake of a guess.
  const bool has_draft = !sequence.draft.tokens.empty();
  if (has_draft && !cache_.can_allocate(sequence.id, num_tokens)) num_tokens = 1;
  while (!cache_.allocate(sequence.id, num_tokens)) {
    Sequence& last = *running_.back();
    preempt(last);
    plan.preempted.push_back(&last);
    if (&last == &sequence) return 0;
  }
  return num_tokens;
}

void Scheduler::preempt(Sequence& sequence) {
  running_.pop_back();
  cache_.release(sequence.id);
  sequence.num_computed_tokens = 0;  // computed anew, later; what was generated stays known
  sequence.draft = {};
  ++sequence.num_preemptions;
  insert(waiting_, sequence);
}
// endregion

// region: admit
// All that it knows must fit, though only a chunk is computed now: else it might be thrown out in the middle of its
// prompt by nobody's fault but its own.
bool Scheduler::admit(Sequence& sequence) {
  const std::vector<int32_t> blocks = prefix_ == nullptr ? std::vector<int32_t>() : prefix_->match(sequence);
  const int32_t num_cached = static_cast<int32_t>(blocks.size()) * cache_.block_size();
  if (!cache_.can_adopt(blocks, sequence.num_known_tokens() - num_cached)) return false;
  cache_.adopt(sequence.id, blocks);
  sequence.num_computed_tokens = num_cached;
  if (sequence.num_preemptions == 0) sequence.num_cached_tokens = num_cached;
  start(sequence);
  return true;
}
// endregion

}  // namespace llm
