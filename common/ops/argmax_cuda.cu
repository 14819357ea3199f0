#include "common/cuda/context.h"
#include "common/ops/argmax_kernel.cuh"
#include "common/ops/gpu_ops.h"

namespace llm::LLM_GPU {

namespace {

template <int N>
void argmax_in_packs(TensorView logits, TensorView out) {
  const LaunchConfig config{dim3(static_cast<unsigned>(logits.dim(0))), dim3(kWarpSize * kWarpSize),
                            sizeof(ArgmaxStorage), stream()};
  launch<argmax_kernel<N>>(config, packs<float, N>(logits), static_cast<int>(logits.dim(1)),
                           reinterpret_cast<TopToken*>(numbers<int32_t>(out)));
}

}  // namespace

void argmax(TensorView logits, TensorView out) {
  if (logits.dim(1) % 4 == 0) return argmax_in_packs<4>(logits, out);
  argmax_in_packs<1>(logits, out);
}

}  // namespace llm::LLM_GPU
