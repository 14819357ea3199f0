#include <algorithm>

#include "common/cuda/context.h"
#include "common/ops/gpu_ops.h"
#include "common/ops/rmsnorm_kernel.cuh"

namespace llm::LLM_GPU {

namespace {

template <class T, int N, int PACKS>
void launch_add_rmsnorm(TensorView x, TensorView delta, TensorView weight, float eps, TensorView out) {
  const auto width = static_cast<int>(x.dim(1));
  const unsigned threads = std::min(ceil_div(width, N * kWarpSize) * kWarpSize, unsigned{kMaxRmsNormThreads});
  launch<add_rmsnorm_kernel<T, N, PACKS>>(
      {dim3(static_cast<unsigned>(x.dim(0))), dim3(threads), sizeof(AddRmsNormStorage), stream()}, packs<float, N>(x),
      packs<float, N>(delta), packs<float, N>(weight), eps, width, packs<T, N>(out));
}

// One pack a thread, where a block can have so many threads.
template <class T, int N>
void add_rmsnorm_in_packs(TensorView x, TensorView delta, TensorView weight, float eps, TensorView out) {
  constexpr int64_t kWidthOfOnePack = kMaxRmsNormThreads * N;
  const int64_t width = x.dim(1);
  if (width > kMaxPacksPerThread * kWidthOfOnePack) {
    fail_input("hidden_size is {}, but RMSNorm on a GPU is built for {} at most; run with --device cpu", width,
               kMaxPacksPerThread * kWidthOfOnePack);
  }
  if (width <= kWidthOfOnePack) return launch_add_rmsnorm<T, N, 1>(x, delta, weight, eps, out);
  if (width <= 2 * kWidthOfOnePack) return launch_add_rmsnorm<T, N, 2>(x, delta, weight, eps, out);
  launch_add_rmsnorm<T, N, kMaxPacksPerThread>(x, delta, weight, eps, out);
}

}  // namespace

void add_rmsnorm(TensorView x, TensorView delta, TensorView weight, float eps, TensorView out) {
  with_type(out.dtype, [&](auto type) {
    using T = decltype(type);
    if (x.dim(1) % 4 == 0) return add_rmsnorm_in_packs<T, 4>(x, delta, weight, eps, out);
    add_rmsnorm_in_packs<T, 1>(x, delta, weight, eps, out);
  });
}

}  // namespace llm::LLM_GPU
