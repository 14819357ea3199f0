#include "common/model/step_runner.h"

#include <bit>

#include "common/tensor/device_memory.h"

namespace llm {

namespace {

int64_t padded(int64_t num_seqs) {
  constexpr int64_t kStep = 8;
  if (num_seqs > kStep) return (num_seqs + kStep - 1) / kStep * kStep;
  return static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(num_seqs)));
}

}  // namespace

StepRunner::Decode::Decode(const Transformer& model, int64_t num_seqs)
    : batch(num_seqs, num_seqs, model.device()),
      workspace(model.device()),
      logits({num_seqs, model.config().vocab_size}, DType::f32, model.device()) {}

TensorView StepRunner::run(const Batch& batch, KvMemory& memory) {
  const int64_t n = batch.num_seqs();
  const bool one_token_each = batch.num_tokens() == n && batch.num_logits() == n;
  if (model_.device() == Device::cpu || !one_token_each) {
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

  Decode& decode = decodes_.try_emplace(padded(n), model_, padded(n)).first->second;
  decode.batch.clear();
  for (int64_t s = 0; s < n; ++s) {
    decode.batch.add(batch.sequence_ids[s], batch.tokens.values().subspan(static_cast<size_t>(s), 1),
                     batch.positions[s], LogitRows::last);
  }
  while (decode.batch.num_seqs() < padded(n)) decode.batch.add_padding();

  const auto forward = [&] { model_.forward(decode.batch, memory, attend_, decode.workspace, decode.logits); };
  if (!decode.warm) {
    forward();
    decode.workspace.reset();  // one piece of memory from now on: what is recorded allocates nothing
    decode.warm = true;
  } else {
    if (!decode.replay) decode.replay = record_graph(model_.device(), forward);
    decode.replay();
  }
  return decode.logits.view().rows(0, n);
}

}  // namespace llm
