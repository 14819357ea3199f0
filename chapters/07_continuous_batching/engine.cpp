#include "chapters/07_continuous_batching/engine.h"

#include <algorithm>

namespace llm {

Engine::Engine(const LoadedModel& model, PagedKvCache& cache, Scheduler& scheduler, AttendFn attend,
               PrefixSource* prefix, OnToken on_token)
    : model_(model),
      cache_(cache),
      scheduler_(scheduler),
      prefix_(prefix),
      on_token_(std::move(on_token)),
      batch_(scheduler.max_step_tokens(), scheduler.max_step_tokens(), model.transformer->device()),
      runner_(*model.transformer, attend),
      sampler_(scheduler.params().max_running, model.transformer->device()) {
  require(cache.max_length() >= model.config().context_length, "a cache for texts of {} tokens", cache.max_length());
}

const Sequence& Engine::submit(Request request) {
  request.arrival_step = std::max(request.arrival_step, next_step_);
  const auto id = static_cast<int32_t>(sequences_.size());
  Sequence& sequence = sequences_.emplace_back(id, std::move(request), model_.config(), model_.tokenizer.get());
  const auto place = std::ranges::upper_bound(expected_, sequence.request.arrival_step, {},
                                              [](const Sequence* s) { return s->request.arrival_step; });
  expected_.insert(place, &sequence);
  return sequence;
}

double Engine::now_ms() const {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start_).count();
}

// region: step
bool Engine::step() {
  const bool idle = scheduler_.running().empty() && scheduler_.waiting().empty();
  if (idle && expected_.empty()) return false;
  if (idle) next_step_ = std::max(next_step_, expected_.front()->request.arrival_step);
  if (log_.empty()) start_ = std::chrono::steady_clock::now();
  StepRecord record;
  record.start_ms = now_ms();
  receive();
  cancel(record);
  if (scheduler_.running().empty() && scheduler_.waiting().empty()) return !expected_.empty();  // none could stay

  record.step = next_step_++;
  const StepPlan plan = scheduler_.schedule();
  require(!plan.scheduled.empty(), "there is work, and none was planned");
  for (const Sequence* s : plan.preempted) record.preempted.push_back(s->id);
  record.num_padding = plan.num_padding;
  record.num_running = std::ssize(scheduler_.running());
  record.num_waiting = std::ssize(scheduler_.waiting());
  compute(plan, record);
  retire(record);
  record.free_blocks = cache_.pool().num_free();
  record.ms = now_ms() - record.start_ms;
  log_.push_back(std::move(record));
  return true;
}

void Engine::receive() {
  while (!expected_.empty() && expected_.front()->request.arrival_step <= next_step_) {
    Sequence& s = *expected_.front();
    expected_.pop_front();
    s.generation.start_clock();
    if (refusal(s).empty()) {
      scheduler_.add(s);
    } else {
      s.generation.finish(FinishReason::rejected);
    }
  }
}

void Engine::cancel(StepRecord& record) {
  std::vector<Sequence*> gone;
  for (const auto* queue : {&scheduler_.waiting(), &scheduler_.running()}) {
    std::ranges::copy_if(*queue, std::back_inserter(gone),
                         [&](const Sequence* s) { return s->request.cancel_step.value_or(INT64_MAX) <= next_step_; });
  }
  for (Sequence* s : gone) {
    s->generation.finish(FinishReason::cancelled);
    s->output.finish();
    scheduler_.remove(*s);
    record.finished.push_back(s->id);
  }
}

void Engine::compute(const StepPlan& plan, StepRecord& record) {
  batch_.clear();
  for (const ScheduledTokens& part : plan.scheduled) {
    const Sequence& s = *part.sequence;
    batch_.add(s.id, s.new_tokens().first(static_cast<size_t>(part.num_tokens)), s.num_computed_tokens,
               part.reaches_the_end() ? LogitRows::last : LogitRows::none);
  }
  require(cache_.begin_step(batch_), "the step needs more than what was planned");
  for (int32_t i = 0; i < plan.num_padding; ++i) batch_.add_padding(plan.padding_rows);
  record.num_logits = batch_.num_logits();
  sample(plan, runner_.run(batch_, cache_), record);
}
// endregion

// region: sample
// One token for each sequence all of whose known tokens are computed; the others have shown a chunk of their prompts.
// A verification of drafts (chapter 6) stands in this one place.
//   logits [num_logits, vocab_size], a row for each of them, in the plan's order
void Engine::sample(const StepPlan& plan, TensorView logits, StepRecord& record) {
  std::vector<Sequence*> complete;
  std::vector<SampleRow> rows;
  for (const ScheduledTokens& part : plan.scheduled) {
    Sequence& s = *part.sequence;
    s.num_computed_tokens += part.num_tokens;
    s.passes_since_token += part.num_tokens;
    const bool is_complete = s.num_uncomputed_tokens() == 0;
    record.parts.push_back({s.id, s.slot, part.num_tokens, s.num_computed_tokens, is_complete});
    if (!is_complete) continue;
    complete.push_back(&s);
    rows.push_back(s.generation.next_row());  // its own random numbers: one for each token, however often recomputed
  }
  if (complete.empty()) return;
  const std::vector<TopToken> sampled = sampler_.sample(logits.rows(0, std::ssize(rows)), rows);
  for (size_t i = 0; i < complete.size(); ++i) append(*complete[i], sampled[i]);
}
// endregion

// A token that ends the text is kept among the ids; a text ends before it, as before a stop string.
void Engine::append(Sequence& s, TopToken sampled) {
  s.generation.add(sampled, std::exchange(s.passes_since_token, 0));
  if (s.generation.finish_reason() != FinishReason::stop) s.output.push(sampled.id);
  if (s.generation.finished()) s.output.finish();
  if (s.output.stopped()) s.generation.finish(FinishReason::stop);
  if (on_token_) on_token_(s, sampled.id);
}

void Engine::retire(StepRecord& record) {
  for (const StepRecord::Part& part : record.parts) {
    Sequence& s = sequences_[static_cast<size_t>(part.sequence_id)];
    if (prefix_ != nullptr) prefix_->record(s);
    if (!s.generation.finished()) continue;
    scheduler_.remove(s);
    record.finished.push_back(s.id);
  }
}

}  // namespace llm
