#include "chapters/04_flash_attention/flash_attend.h"

#include "chapters/04_flash_attention/attention_input.h"

namespace llm {

namespace {

// region: flash_attend
template <Device device>
void attend(const Batch& batch, TensorView q, const KvView& kv, Workspace& workspace, TensorView out) {
  if (batch.num_tokens() == 0) return;
  const bool one_token_each = batch.num_tokens() == batch.num_seqs();
  if (device == Device::cpu && one_token_each) return cpu::attend(batch, q, kv, workspace, out);
  const AttentionSteps& steps = attention_steps(device);
  const AttentionStep step = one_token_each ? steps.decoding : steps.flash_2;
  step(attention_input(batch, q, kv), workspace, {out, {}});
}
// endregion

}  // namespace

AttendFn flash_attend(Device device) {
  attention_steps(device);
  return device == Device::cpu    ? attend<Device::cpu>
         : device == Device::simt ? attend<Device::simt>
                                  : attend<Device::cuda>;
}

}  // namespace llm
