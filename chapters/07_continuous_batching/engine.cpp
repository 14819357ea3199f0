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
      verifier_(scheduler.max_step_tokens(), model.transformer->device()) {
  require(cache.max_length() >= model.config().context_length, "a cache for texts of {} tokens", cache.max_length());
}

void Engine::speculate(Drafter& drafter, int max_draft) {
  drafter_ = &drafter;
  max_draft_ = max_draft;
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

  if (drafter_ != nullptr) draft();
  record.step = next_step_++;
  const StepPlan plan = scheduler_.schedule();
  require(!plan.scheduled.empty(), "there is work, and none was planned");
  for (const Sequence* s : plan.preempted) {
    record.preempted.push_back(s->id);
    if (drafter_ != nullptr) drafter_->truncate(s->id, s->num_known_tokens() - 1);  // its draft is gone
  }
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
    if (drafter_ != nullptr) drafter_->release(s->id);
    record.finished.push_back(s->id);
  }
}

// For those who wait for one token only; a draft never makes a text longer than it may become.
void Engine::draft() {
  std::vector<Sequence*> sequences;
  std::vector<DraftRequest> requests;
  for (Sequence* s : scheduler_.running()) {
    const int most = std::min(max_draft_, s->generation.num_left() - 1);
    if (s->num_uncomputed_tokens() != 1 || most < 1) continue;
    sequences.push_back(s);
    requests.push_back({s->id, s->generation.all(), most, s->generation.sampler()});
  }
  std::vector<Draft> drafts = drafter_->draft(requests);
  for (size_t i = 0; i < sequences.size(); ++i) sequences[i]->draft = std::move(drafts[i]);
}

void Engine::compute(const StepPlan& plan, StepRecord& record) {
  batch_.clear();
  for (const ScheduledTokens& part : plan.scheduled) {
    const Sequence& s = *part.sequence;
    std::vector<int32_t> tokens(s.new_tokens().begin(), s.new_tokens().end());
    tokens.insert(tokens.end(), s.draft.tokens.begin(), s.draft.tokens.end());
    tokens.resize(static_cast<size_t>(part.num_tokens));
    const LogitRows wanted = s.draft.tokens.empty() ? LogitRows::last : LogitRows::all;
    batch_.add(s.id, tokens, s.num_computed_tokens, part.reaches_the_end() ? wanted : LogitRows::none);
  }
  require(cache_.begin_step(batch_), "the step needs more than what was planned");
  for (int32_t i = 0; i < plan.num_padding; ++i) batch_.add_padding(plan.padding_rows);
  record.num_logits = batch_.num_logits();
  sample(plan, runner_.run(batch_, cache_), record);
}
// endregion

// region: sample
// One token for each sequence all of whose known tokens are computed, and before it as much of its draft as stands; the
// others have shown a chunk of their prompts. Each draws with its own random numbers, however often it is recomputed.
//   logits [num_logits, vocab_size], a row for each known token that is the last and for each drafted one
void Engine::sample(const StepPlan& plan, TensorView logits, StepRecord& record) {
  std::vector<Drafted> complete;
  int64_t num_rows = 0;
  for (const ScheduledTokens& part : plan.scheduled) {
    if (!part.reaches_the_end()) continue;
    Sequence& s = *part.sequence;
    complete.push_back({s.draft, s.generation.sampler()});
    num_rows += 1 + std::ssize(s.draft.tokens);
  }
  std::vector<std::vector<TopToken>> accepted;
  if (!complete.empty()) accepted = verifier_.verify(logits.rows(0, num_rows), complete);

  auto next_accepted = accepted.begin();
  for (const ScheduledTokens& part : plan.scheduled) {
    Sequence& s = *part.sequence;
    const bool is_complete = part.reaches_the_end();
    const auto num_drafted = static_cast<int32_t>(s.draft.tokens.size());
    s.num_computed_tokens += part.num_tokens - num_drafted;
    s.passes_since_token += part.num_tokens;
    const int32_t num_accepted = is_complete ? append_accepted(s, *next_accepted++) : 0;
    record.parts.push_back(
        {s.id, s.slot, part.num_tokens, s.num_computed_tokens, is_complete, num_drafted, num_accepted});
  }
}

// The text grows, up to its end; caches shrink to what stands. Returns how much of the draft that is.
int32_t Engine::append_accepted(Sequence& s, std::span<const TopToken> accepted) {
  int32_t num_added = 0;
  for (const TopToken& token : accepted) {
    append(s, token);
    ++num_added;
    if (s.generation.finished()) break;
  }
  if (drafter_ == nullptr) return 0;
  s.draft = {};
  s.num_computed_tokens += num_added - 1;
  cache_.truncate(s.id, s.num_computed_tokens);
  drafter_->truncate(s.id, s.num_computed_tokens);
  const bool cut_short = num_added < std::ssize(accepted);  // before the target's own token, which is the last
  return cut_short ? num_added : num_added - 1;
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
    if (drafter_ != nullptr) drafter_->release(s.id);
    record.finished.push_back(s.id);
  }
}

}  // namespace llm
