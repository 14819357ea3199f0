// Drafts by a smaller model with a cache of its own.
#pragma once

#include <unordered_map>

#include "chapters/06_speculative_decoding/drafter.h"
#include "common/model/kv_memory.h"
#include "common/model/step_runner.h"

namespace llm {

// The draft model must have the target's vocabulary. Its device, number format and cache are its own.
class ModelDrafter : public Drafter {
 public:
  // For up to `max_seqs` sequences at once, whose tokens that the draft model has not seen (a prompt and the token
  // after it, then one or two) are at most `max_tokens` together. On the CPU it runs on `num_threads` threads: starting
  // others takes longer than a small model's products.
  ModelDrafter(const Transformer& model, KvMemory& memory, AttendFn attend, int64_t max_tokens, int64_t max_seqs,
               int num_threads);

  // Token after token, all sequences side by side. Each is drawn as the request's tokens are: greedily, or from the
  // draft model's own distribution after the same temperature, top-k, top-p and min-p. Where the model's context or the
  // memory is full, the drafts end early.
  std::vector<Draft> draft(std::span<const DraftRequest> requests) override;
  void truncate(int32_t sequence_id, int32_t length) override;
  void release(int32_t sequence_id) override;

  int32_t length(int32_t sequence_id) const;  // tokens in the memory; 0 for an unknown sequence

 private:
  bool step(std::span<const DraftRequest> requests, std::vector<Draft>& drafts);

  const Transformer& model_;
  KvMemory& memory_;
  Batch batch_;
  StepRunner runner_;
  StepSampler sampler_;
  int num_threads_;
  std::unordered_map<int32_t, int32_t> lengths_;  // by sequence id
};

// How many threads make this model's decode steps fastest: one, or all that are in use. Tries both.
int faster_num_threads(const Transformer& model);

}  // namespace llm
