// Forward passes one after the other: on a GPU, steps of one token a sequence are recorded once and replayed.
#pragma once

#include <functional>
#include <map>

#include "common/model/transformer.h"

namespace llm {

// A step of a few tokens is bound by the time it takes to start its hundred or so kernels. A recorded CUDA graph starts
// them all in one call. What changes from step to step stands in the lists of the batch and the memory, whose addresses
// do not. There is a graph for 1, 2, 4, 8, 16, 24, ... sequences; a step of fewer is filled up with padding.
class StepRunner {
 public:
  StepRunner(const Transformer& model, AttendFn attend) : model_(model), attend_(attend), workspace_(model.device()) {}

  // Transformer::forward for a batch that `memory`, the same at every call, has begun. The logits, [num_logits,
  // vocab_size] f32, stand until the next call.
  TensorView run(const Batch& batch, KvMemory& memory);

 private:
  // The steps of so many sequences, padding among them.
  struct Decode {
    Decode(const Transformer& model, int64_t num_seqs);

    // Their own, since the recorded addresses must stay.
    Batch batch;
    Workspace workspace;
    Tensor logits;                 // [num_seqs, vocab_size]
    bool warm = false;             // after its first step the workspace holds all it needs
    std::function<void()> replay;  // none before the second
  };

  const Transformer& model_;
  AttendFn attend_;
  Workspace workspace_;
  Tensor logits_;                      // of steps that are not recorded, as many rows as the largest had
  std::map<int64_t, Decode> decodes_;  // by number of sequences
};

}  // namespace llm
