#include "common/ops/ops.h"

#include "common/ops/gpu_ops.h"
#include "common/tensor/device_memory.h"

namespace llm {

const Ops& ops_for(Device device) {
  static constexpr Ops kCpu = {
      .make_matrix = cpu::make_matrix,
      .embed = cpu::embed,
      .add_rmsnorm = cpu::add_rmsnorm,
      .matmul = cpu::matmul,
      .rope_and_store = cpu::rope_and_store,
      .swiglu_matmul = cpu::swiglu_matmul,
      .gather_rows = cpu::gather_rows,
      .attend = cpu::attend,
      .argmax = cpu::argmax,
      .sample = cpu::sample,
      .fill_random = cpu::fill_random,
      .sum_rows = cpu::sum_rows,
  };
  if (device == Device::cpu) return kCpu;
  require_device(device);
#if defined(LLM_HAVE_SIMT)
  if (device == Device::simt) return simt::ops();
#endif
#if defined(LLM_HAVE_CUDA)
  if (device == Device::cuda) return cuda::ops();
#endif
  std::abort();  // require_device has refused it
}

}  // namespace llm
