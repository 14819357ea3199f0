#include "common/model/step_runner.h"

#include "common/tensor/device_memory.h"

namespace llm {

void StepRunner::run(const Batch& batch, KvMemory& memory, TensorView logits) {
  const int64_t n = batch.num_seqs();
  const bool one_token_each = batch.num_tokens() == n && batch.num_logits() == n;
  if (model_.device() == Device::cpu || !one_token_each) {
    return model_.forward(batch, memory, attend_, workspace_, logits);
  }
  Decode& decode = decodes_.try_emplace(n, model_.device()).first->second;
  const auto forward = [&] { model_.forward(batch, memory, attend_, decode.workspace, logits); };
  if (!decode.warm) {
    forward();
    decode.warm = true;
    return;
  }
  if (!decode.replay) decode.replay = record_graph(model_.device(), forward);
  decode.replay();
}

}  // namespace llm
