#include "common/model/step_runner.h"

#include <bit>

#include "common/tensor/device_memory.h"

namespace llm {

namespace {

// Of a recorded step with several tokens of each sequence: more take longer to compute than to start, and each shape
// that is recorded keeps memory.
constexpr int64_t kMaxDraftTokens = 64;

int64_t padded(int64_t num_seqs) {
  constexpr int64_t kStep = 8;
  if (num_seqs > kStep) return (num_seqs + kStep - 1) / kStep * kStep;
  return static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(num_seqs)));
}

}  // namespace

std::optional<StepRunner::StepShape> StepRunner::shape_to_record(const Batch& batch) {
  const int64_t n = batch.num_seqs();
  if (batch.num_logits() == 0) return {};
  const int64_t tokens_each = batch.num_tokens() / n;
  for (int64_t s = 0; s < n; ++s) {
    if (batch.query_start[s + 1] - batch.query_start[s] != tokens_each) return {};
  }
  if (tokens_each > 1 && batch.num_tokens() > kMaxDraftTokens) return {};
  if (tokens_each > 1 || batch.num_logits() < n) return StepShape{n, batch.num_tokens(), batch.num_logits()};
  return StepShape{padded(n), padded(n), padded(n)};
}

StepRunner::RecordedStep::RecordedStep(const Transformer& model, const StepShape& shape)
    : batch(shape.num_tokens, shape.num_seqs, model.device()),
      workspace(model.device()),
      logits({shape.num_logits, model.config().vocab_size}, DType::f32, model.device()) {}

TensorView StepRunner::run(const Batch& batch, KvMemory& memory) {
  const std::optional<StepShape> shape = model_.device() == Device::cpu ? std::nullopt : shape_to_record(batch);
  if (!shape || seen_.insert(*shape).second) {
    if (logits_.empty() || logits_.view().dim(0) < batch.num_logits()) {
      logits_ = Tensor({batch.num_logits(), model_.config().vocab_size}, DType::f32, model_.device());
    }
    const TensorView logits = logits_.view().rows(0, batch.num_logits());
    model_.forward(batch, memory, attend_, workspace_, logits);
    // Whoever reads logits waits for the step. Where nobody does, the lists of batch and memory may be written anew
    // only after the device has read them.
    if (batch.num_logits() == 0) synchronize(model_.device());
    return logits;
  }

  RecordedStep& step = recorded_.try_emplace(*shape, model_, *shape).first->second;
  step.batch.assign(batch);
  while (step.batch.num_seqs() < shape->num_seqs) step.batch.add_padding();

  const auto forward = [&] { model_.forward(step.batch, memory, attend_, step.workspace, step.logits); };
  if (!step.warm) {
    forward();
    step.workspace.reset();  // one piece of memory from now on: what is recorded allocates nothing
    step.warm = true;
  } else {
    if (!step.replay) step.replay = record_graph(model_.device(), forward);
    step.replay();
  }
  return step.logits.view().rows(0, batch.num_logits());
}

}  // namespace llm
