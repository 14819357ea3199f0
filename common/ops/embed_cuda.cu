#include "common/cuda/context.h"
#include "common/cuda/launch.h"
#include "common/ops/embed_kernel.cuh"
#include "common/ops/gpu_ops.h"

namespace llm::LLM_GPU {

namespace {

void pick_rows(Int32View rows, TensorView table, TensorView out) {
  with_weight_type(table.dtype, [&](auto type) {
    using T = decltype(type);
    const LaunchConfig config{dim3(static_cast<unsigned>(rows.dim(0))), dim3(256), 0, stream()};
    launch<pick_rows_kernel<T>>(config, numbers<int32_t>(rows), numbers<T>(table), static_cast<int>(table.dim(1)),
                                numbers<float>(out));
  });
}

}  // namespace

void embed(Int32View tokens, TensorView table, TensorView out) { pick_rows(tokens, table, out); }
void gather_rows(TensorView x, Int32View rows, TensorView out) { pick_rows(rows, x, out); }

}  // namespace llm::LLM_GPU
