// Several texts that advance together: one forward pass a step for all of them.
#pragma once

#include <span>

#include "common/model/step_runner.h"
#include "common/program/generation.h"

namespace llm {

// A text in the making, and how far the memory knows it.
struct Text {
  int32_t id;  // in the memory
  Generation generation;
  int32_t num_computed_tokens = 0;  // whose keys and values are in the memory

  // What the next step has to feed: the whole prompt at first, then the token that was sampled last.
  std::span<const int32_t> new_tokens() const {
    return std::span(generation.all()).subspan(static_cast<size_t>(num_computed_tokens));
  }
};

class BatchedGeneration {
 public:
  // A step may have up to `max_tokens` new tokens of up to `max_seqs` sequences.
  BatchedGeneration(const Transformer& model, KvMemory& memory, AttendFn attend, int64_t max_tokens, int64_t max_seqs);

  // One forward pass over what is new in each of the sequences, and one token sampled for each. False: the memory has
  // no room for them all, and nothing has changed.
  bool step(std::span<Text* const> sequences);

  // [1, vocab_size] of the last step's i-th sequence, valid until the next step.
  TensorView logits(int64_t i) const { return logits_.rows(i, i + 1); }

 private:
  KvMemory& memory_;
  Batch batch_;
  StepRunner runner_;
  StepSampler sampler_;
  TensorView logits_;  // [num_seqs, vocab_size] the runner's
};

}  // namespace llm
