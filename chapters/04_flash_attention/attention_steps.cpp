#include "chapters/04_flash_attention/attention_steps.h"

#include "common/tensor/device_memory.h"

namespace llm {

const AttentionSteps& attention_steps(Device device) {
  require_device(device);
  static constexpr AttentionSteps kCpu = {.flash_2 = cpu::flash_attention};
#if defined(LLM_HAVE_SIMT)
  static constexpr AttentionSteps kSimt = {simt::standard_attention, simt::flash_attention_1, simt::flash_attention_2,
                                           simt::flash_decoding, simt::flash_attention_backward};
  if (device == Device::simt) return kSimt;
#endif
#if defined(LLM_HAVE_CUDA)
  static constexpr AttentionSteps kCuda = {cuda::standard_attention, cuda::flash_attention_1, cuda::flash_attention_2,
                                           cuda::flash_decoding, cuda::flash_attention_backward};
  if (device == Device::cuda) return kCuda;
#endif
  return kCpu;
}

}  // namespace llm
