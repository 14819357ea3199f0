#include "common/cuda/context.h"
#include "common/cuda/launch.h"
#include "common/ops/gpu_ops.h"
#include "common/ops/rope_kernel.cuh"

namespace llm::LLM_GPU {

void rope_and_store(TensorView qkv, Int32View positions, const RopeParams& params, TensorView q, const KvView& kv) {
  constexpr unsigned kWarps = 4;
  const RopeShape shape{static_cast<int>(q.dim(1)), static_cast<int>(kv.k.dim(1)), static_cast<int>(q.dim(2))};
  with_type(q.dtype, [&](auto type) {
    using T = decltype(type);
    const dim3 grid(static_cast<unsigned>(q.dim(0)), ceil_div(shape.heads + 2 * shape.kv_heads, kWarps));
    launch<rope_and_store_kernel<T>>(
        {grid, dim3(kWarpSize, kWarps), 0, stream()}, numbers<float>(qkv), numbers<int32_t>(positions),
        numbers<int32_t>(kv.slots), numbers<float>(params.cos_sin), numbers<float>(params.q_norm),
        numbers<float>(params.k_norm), params.norm_eps, shape, numbers<T>(q), numbers<T>(kv.k), numbers<T>(kv.v));
  });
}

}  // namespace llm::LLM_GPU
