#include "common/cuda/context.h"
#include "common/ops/gpu_ops.h"
#include "common/ops/sum_rows_kernel.cuh"

namespace llm::LLM_GPU {

void sum_rows(TensorView x, TensorView out) {
  const LaunchConfig config{dim3(static_cast<unsigned>(x.dim(0))), dim3(kSumThreads), sizeof(SumRowsStorage), stream()};
  const int width = static_cast<int>(x.dim(1));
  if (width % 4 == 0) {
    launch<sum_rows_kernel<4>>(config, packs<float, 4>(x), width / 4, numbers<float>(out));
  } else {
    launch<sum_rows_kernel<1>>(config, packs<float, 1>(x), width, numbers<float>(out));
  }
}

}  // namespace llm::LLM_GPU
