#include "common/cuda/context.h"
#include "common/cuda/numbers.cuh"
#include "common/ops/argmax_kernel.cuh"
#include "common/ops/gpu_ops.h"

namespace llm::LLM_GPU {

void argmax(TensorView logits, TensorView out) {
  const LaunchConfig config{dim3(static_cast<unsigned>(logits.dim(0))), dim3(kWarpSize * kWarpSize),
                            sizeof(ArgmaxStorage), stream()};
  launch<argmax_kernel>(config, numbers<float>(logits), static_cast<int>(logits.dim(1)),
                        reinterpret_cast<TopToken*>(numbers<int32_t>(out)));
}

}  // namespace llm::LLM_GPU
