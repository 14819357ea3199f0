#include "common/cuda/context.h"
#include "common/cuda/launch.h"
#include "common/ops/gpu_ops.h"
#include "common/ops/swiglu_kernel.cuh"

namespace llm::LLM_GPU {

void swiglu(TensorView gate_up, TensorView out) {
  constexpr int kThreads = 256;
  with_type(out.dtype, [&](auto type) {
    using T = decltype(type);
    const LaunchConfig config{dim3(ceil_div(out.numel(), kThreads)), dim3(kThreads), 0, stream()};
    launch<swiglu_kernel<T>>(config, numbers<float>(gate_up), out.numel(), static_cast<int>(out.dim(1)),
                             numbers<T>(out));
  });
}

}  // namespace llm::LLM_GPU
