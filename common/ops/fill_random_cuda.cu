#include "common/cuda/context.h"
#include "common/cuda/launch.h"
#include "common/ops/fill_random_kernel.cuh"
#include "common/ops/gpu_ops.h"

namespace llm::LLM_GPU {

void fill_random(TensorView out, uint64_t key, float range) {
  const LaunchConfig config{dim3(static_cast<unsigned>(out.dim(0))), dim3(256), 0, stream()};
  launch<fill_random_kernel>(config, key, range, out.dim(1), numbers<__nv_bfloat16>(out));
}

}  // namespace llm::LLM_GPU
