#include "chapters/05_grouped_query_attention/grouped_steps.h"

#include "common/tensor/device_memory.h"

namespace llm {

const GroupedSteps& grouped_steps(Device device) {
  require_device(device);
  static constexpr GroupedSteps kNone;
#if defined(LLM_HAVE_SIMT)
  static const GroupedSteps kSimt = {simt::expanded_attention, simt::per_head_attention, simt::grouped_attention,
                                     attention_steps(Device::simt).decoding};
  if (device == Device::simt) return kSimt;
#endif
#if defined(LLM_HAVE_CUDA)
  static const GroupedSteps kCuda = {cuda::expanded_attention, cuda::per_head_attention, cuda::grouped_attention,
                                     attention_steps(Device::cuda).decoding};
  if (device == Device::cuda) return kCuda;
#endif
  return kNone;
}

// region: traffic
MemoryTraffic grouped_traffic(const StepShape& s, int64_t heads_at_once) {
  const int64_t group = s.heads / s.kv_heads, readings = (group + heads_at_once - 1) / heads_at_once;
  const int64_t row_bytes = s.head_dim * static_cast<int64_t>(size_of(s.dtype));
  const int64_t key_bytes = 2 * s.num_seqs * s.n * s.kv_heads * row_bytes, rows = s.num_seqs * s.heads;
  return {readings * key_bytes + rows * row_bytes, rows * row_bytes + rows * int64_t{sizeof(float)}};
}

MemoryTraffic expanded_traffic(const StepShape& s) {
  StepShape expanded = s;
  expanded.kv_heads = s.heads;
  const MemoryTraffic attention = grouped_traffic(expanded, 1);
  return {static_cast<int64_t>(s.kv_bytes()) + attention.bytes_read,
          static_cast<int64_t>(expanded.kv_bytes()) + attention.bytes_written};
}
// endregion

}  // namespace llm
