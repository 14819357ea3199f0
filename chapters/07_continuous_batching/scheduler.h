// Who takes part in the next step, and with how many tokens: continuous batching.
// Yu et al., "Orca: A Distributed Serving System for Transformer-Based Generative Models", 2022; chunks of prompts from
// Agrawal et al., "Taming Throughput-Latency Tradeoff in LLM Inference with Sarathi-Serve", 2024.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "chapters/03_paged_attention/paged_kv_cache.h"
#include "chapters/07_continuous_batching/prefix_source.h"

namespace llm {

// Who is the more urgent of two: the one that came first, or the one with the smaller priority number and only then the
// one that came first.
enum class Policy { fcfs, priority };

struct SchedulerParams {
  int32_t token_budget = 256;     // new tokens in a step
  int32_t max_chunk = INT32_MAX;  // of them for one sequence
  int32_t max_running = 8;        // sequences that run side by side: slots
  Policy policy = Policy::fcfs;
};

struct ScheduledTokens {
  Sequence* sequence;
  int32_t num_tokens;  // the next ones of those it has not computed

  bool reaches_the_end() const { return num_tokens == sequence->num_uncomputed_tokens(); }  // before the step
};

// What one forward pass computes. The blocks for it are taken.
struct StepPlan {
  std::vector<ScheduledTokens> scheduled;
  std::vector<Sequence*> preempted;  // they gave their blocks back and wait again
  int32_t num_padding = 0;           // tokens of no sequence, in empty places of a static batch
  LogitRows padding_rows = LogitRows::none;
};

class Scheduler {
 public:
  // Both must outlive this. Without a `prefix` source every token is computed.
  Scheduler(const SchedulerParams& params, PagedKvCache& cache, const PrefixSource* prefix = nullptr)
      : params_(params), cache_(cache), prefix_(prefix) {}
  virtual ~Scheduler() = default;

  // Why a request can never be served here, as a clause; empty where it can.
  std::string refusal(const Request& request) const;

  void add(Sequence& sequence);  // it waits
  virtual StepPlan schedule();
  // It has finished or was cancelled: it leaves at once, and its blocks are free.
  void remove(Sequence& sequence);

  virtual int64_t max_step_tokens() const { return params_.token_budget; }
  const SchedulerParams& params() const { return params_; }
  // Each with the most urgent first. All that run are more urgent than all that wait, but for those that came late with
  // a small priority number: nobody who runs yields to them.
  const std::deque<Sequence*>& running() const { return running_; }
  const std::deque<Sequence*>& waiting() const { return waiting_; }

 protected:
  int32_t most_tokens(const Request& request) const;  // in the cache, at its longest
  void start(Sequence& sequence);                     // from waiting to running

  SchedulerParams params_;
  PagedKvCache& cache_;
  std::deque<Sequence*> running_, waiting_;

 private:
  bool is_more_urgent(const Sequence* a, const Sequence* b) const;
  void insert(std::deque<Sequence*>& queue, Sequence& sequence) const;
  int32_t next_chunk(const Sequence& sequence, int32_t budget) const;
  int32_t make_room(Sequence& sequence, int32_t num_tokens, StepPlan& plan);
  void preempt(Sequence& sequence);
  bool admit(Sequence& sequence);

  const PrefixSource* prefix_;
};

}  // namespace llm
