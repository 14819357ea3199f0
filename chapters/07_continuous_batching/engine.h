// Requests in, texts out, step by step.
#pragma once

#include <deque>
#include <functional>
#include <vector>

#include "chapters/06_speculative_decoding/verifier.h"
#include "chapters/07_continuous_batching/scheduler.h"
#include "common/model/step_runner.h"
#include "common/program/loaded_model.h"

namespace llm {

// What happened in one step.
struct StepRecord {
  struct Part {
    int32_t sequence_id, slot;
    int32_t num_tokens;                         // computed in this step
    int32_t context_len;                        // keys visible after it
    bool sampled;                               // a token came of it; else it was a chunk of a prompt, and not the last
    int32_t num_drafted = 0, num_accepted = 0;  // of num_tokens; what was rejected is in no context_len
  };

  int64_t step = 0;                          // its number; while nobody is there, numbers pass without a record
  std::vector<Part> parts;                   // who took part
  int64_t num_padding = 0;                   // tokens computed for nobody
  int64_t num_logits = 0;                    // rows of logits, padding's too
  int64_t num_running = 0, num_waiting = 0;  // while it was computed
  std::vector<int32_t> preempted, finished;  // sequence ids; those that were cancelled before it are among the latter
  int32_t free_blocks = 0;                   // after those that finished gave theirs back
  double start_ms = 0.0, ms = 0.0;           // since the first step's beginning
};

class Engine {
 public:
  // Called with each token, after the sequence has got it.
  using OnToken = std::function<void(const Sequence& sequence, int32_t token)>;

  // All must outlive this. `prefix` is the scheduler's, or null.
  Engine(const LoadedModel& model, PagedKvCache& cache, Scheduler& scheduler, AttendFn attend,
         PrefixSource* prefix = nullptr, OnToken on_token = {});

  // From now on each text that waits for one token only is given a draft of up to `max_draft`, which the step verifies
  // (chapter 6). Greedy texts stay what they are. Drawn ones keep their distribution, but not their every token: how
  // many random numbers a round takes depends on the draft. The drafter must outlive this.
  void speculate(Drafter& drafter, int max_draft);

  // The request joins at the step of its arrival, or the next one where that has passed. The sequence stays.
  const Sequence& submit(Request request);

  // Lets those who have arrived join, and computes one step of all that run. False: nothing is left to do.
  bool step();

  int64_t next_step() const { return next_step_; }
  const std::deque<Sequence>& sequences() const { return sequences_; }  // in the order of submission
  const std::vector<StepRecord>& log() const { return log_; }
  // Why a request was rejected.
  std::string refusal(const Sequence& sequence) const { return scheduler_.refusal(sequence.request); }

 private:
  void receive();
  void cancel(StepRecord& record);
  void draft();
  void compute(const StepPlan& plan, StepRecord& record);
  void sample(const StepPlan& plan, TensorView logits, StepRecord& record);
  void append(Sequence& sequence, TopToken sampled);
  int32_t append_accepted(Sequence& sequence, std::span<const TopToken> accepted);
  void retire(StepRecord& record);
  double now_ms() const;

  const LoadedModel& model_;
  PagedKvCache& cache_;
  Scheduler& scheduler_;
  PrefixSource* prefix_;
  OnToken on_token_;
  Batch batch_;
  StepRunner runner_;
  Verifier verifier_;
  Drafter* drafter_ = nullptr;
  int max_draft_ = 0;

  std::deque<Sequence> sequences_;  // all there ever were; their ids are their places
  std::deque<Sequence*> expected_;  // not arrived yet, in the order in which they will
  int64_t next_step_ = 0;
  std::vector<StepRecord> log_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace llm
