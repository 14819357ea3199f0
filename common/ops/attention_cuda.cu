#include <cmath>

#include "common/cuda/context.h"
#include "common/ops/attention_kernel.cuh"
#include "common/ops/gpu_ops.h"

namespace llm::LLM_GPU {

namespace {

template <class T, int N, int GROUP, int PACKS>
void launch_attend(const AttendPointers<T>& pointers, const AttendShape& shape, int64_t num_tokens) {
  const dim3 grid(static_cast<unsigned>(num_tokens), static_cast<unsigned>(shape.heads));
  launch<attend_kernel<T, N, GROUP, PACKS>>({grid, dim3(kWarpSize, kAttendWarps), sizeof(AttendStorage), stream()},
                                            pointers, shape);
}

// The smallest group of lanes that holds a head in one pack each; a whole warp, with several packs each, above that.
template <class T, int N>
void attend_in_packs(const AttendPointers<T>& pointers, const AttendShape& shape, int64_t num_tokens) {
  const int num_packs = shape.head_dim / N;
  if (num_packs <= 4) return launch_attend<T, N, 4, 1>(pointers, shape, num_tokens);
  if (num_packs <= 8) return launch_attend<T, N, 8, 1>(pointers, shape, num_tokens);
  if (num_packs <= 16) return launch_attend<T, N, 16, 1>(pointers, shape, num_tokens);
  if (num_packs <= 32) return launch_attend<T, N, 32, 1>(pointers, shape, num_tokens);
  launch_attend<T, N, 32, kMaxHeadDim / N / 32 + 1>(pointers, shape, num_tokens);
}

}  // namespace

void attend(const Batch& batch, TensorView q, const KvView& kv, Workspace&, TensorView out) {
  const int head_dim = static_cast<int>(q.dim(2));
  if (head_dim > kMaxHeadDim) {
    fail_input("head_dim is {}, but attention on a GPU is built for {} at most; run with --device cpu", head_dim,
               kMaxHeadDim);
  }
  const AttendShape shape{static_cast<int>(batch.num_seqs()),
                          static_cast<int>(q.dim(1)),
                          static_cast<int>(kv.k.dim(1)),
                          head_dim,
                          kv.block_size,
                          static_cast<int>(kv.block_table.dim(1)),
                          1.0f / std::sqrt(static_cast<float>(head_dim))};
  with_type(q.dtype, [&](auto type) {
    using T = decltype(type);
    const AttendPointers<T> pointers{numbers<T>(q),
                                     numbers<T>(kv.k),
                                     numbers<T>(kv.v),
                                     numbers<int32_t>(batch.positions.view()),
                                     numbers<int32_t>(batch.query_start.view()),
                                     numbers<int32_t>(kv.block_table),
                                     numbers<T>(out)};
    if (head_dim % kPackSize<T> == 0) return attend_in_packs<T, kPackSize<T>>(pointers, shape, q.dim(0));
    attend_in_packs<T, 2>(pointers, shape, q.dim(0));  // any even head_dim
  });
}

}  // namespace llm::LLM_GPU
