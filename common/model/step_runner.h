// Forward passes one after the other: on a GPU, small steps of one shape are recorded once and replayed.
#pragma once

#include <compare>
#include <functional>
#include <map>
#include <optional>
#include <set>

#include "common/model/transformer.h"

namespace llm {

// A step of a few tokens is bound by the time it takes to start its hundred or so kernels. A recorded CUDA graph starts
// them all in one call. What changes from step to step stands in the lists of the batch and the memory, whose addresses
// do not. Recorded are steps that come again in which every sequence has as many new tokens: one, or a draft's. Those
// of one token have a graph for 1, 2, 4, 8, 16, 24, ... sequences; a step of fewer is filled up with padding.
class StepRunner {
 public:
  StepRunner(const Transformer& model, AttendFn attend) : model_(model), attend_(attend), workspace_(model.device()) {}

  // Transformer::forward for a batch that `memory`, the same at every call, has begun. The logits, [num_logits,
  // vocab_size] f32, stand until the next call.
  TensorView run(const Batch& batch, KvMemory& memory);

 private:
  // What a step's kernels and their grids depend on, where every sequence has as many tokens.
  struct StepShape {
    int64_t num_seqs, num_tokens, num_logits;
    auto operator<=>(const StepShape&) const = default;
  };
  static std::optional<StepShape> shape_to_record(const Batch& batch);

  // All steps of a shape.
  struct RecordedStep {
    RecordedStep(const Transformer& model, const StepShape& shape);

    // Their own, since the recorded addresses must stay.
    Batch batch;
    Workspace workspace;
    Tensor logits;                 // [num_logits, vocab_size]
    bool warm = false;             // after its first step the workspace holds all it needs
    std::function<void()> replay;  // none before the second
  };

  const Transformer& model_;
  AttendFn attend_;
  Workspace workspace_;
  Tensor logits_;             // of steps that are not recorded, as many rows as the largest had
  std::set<StepShape> seen_;  // a shape that never comes again, a prompt's, isn't worth a recording
  std::map<StepShape, RecordedStep> recorded_;
};

}  // namespace llm
