// Forward passes one after the other: on a GPU, steps of one token a sequence are recorded once and replayed.
#pragma once

#include <functional>
#include <map>

#include "common/model/transformer.h"

namespace llm {

// A step of a few tokens is bound by the time it takes to start its some hundred kernels. A recorded CUDA graph starts
// them all in one call. What changes from step to step stands in the buffers of the batch and the memory, whose
// addresses do not.
class StepRunner {
 public:
  StepRunner(const Transformer& model, AttendFn attend) : model_(model), attend_(attend), workspace_(model.device()) {}

  // Transformer::forward. `batch`, `memory` and `logits` must be the same objects at every call with as many
  // sequences.
  void run(const Batch& batch, KvMemory& memory, TensorView logits);

 private:
  // The steps with one number of sequences.
  struct Decode {
    explicit Decode(Device device) : workspace(device) {}
    Workspace workspace;           // its own: the recorded addresses must stay
    bool warm = false;             // after its first step the workspace grows no more
    std::function<void()> replay;  // none before the second
  };

  const Transformer& model_;
  AttendFn attend_;
  Workspace workspace_;
  std::map<int64_t, Decode> decodes_;  // by number of sequences
};

}  // namespace llm
