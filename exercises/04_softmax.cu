// 4.4 and 4.5: P = softmax(S), row by row, on the simulator. It reads as it should, and is wrong.
#include "common/cuda/context.h"
#include "common/cuda/launch.h"
#include "common/cuda/numbers.cuh"
#include "common/cuda/ptx.cuh"
#include "exercises/04_flash_attention.h"

namespace llm::LLM_GPU::exercises {

inline constexpr int kThreads = 64;

struct SoftmaxStorage {
  float values_smem[kThreads];
};

struct Larger {
  __device__ float operator()(float a, float b) const { return fmaxf(a, b); }
};
struct Sum {
  __device__ float operator()(float a, float b) const { return a + b; }
};

// In every thread what `combine` makes of the values of all.
// 4.4. Threads read what other threads write, and nothing has them wait for each other. Put in the __syncthreads that
// are missing, and none that is not needed.
template <class Combine>
__device__ float combine_threads(float value, float* values_smem, Combine combine) {
  const int thread = static_cast<int>(threadIdx.x);
  values_smem[thread] = value;
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (thread < half) values_smem[thread] = combine(values_smem[thread], values_smem[thread + half]);
  }
  return values_smem[0];
}

// One block a row.
// 4.5. Each score is read three times: for the largest, for the sum, for the quotient. Read it twice: let each thread
// carry its own sum along while it looks for its own largest score, and rescale the sum where that grows. The sums of
// the threads must then be rescaled as well, before they are added.
__global__ void softmax_kernel(const float* S, float* P, int n) {
  auto& smem = shared_storage<SoftmaxStorage>();
  wait_for_earlier_kernels();
  const float* S_row = S + static_cast<int64_t>(blockIdx.x) * n;
  float* P_row = P + static_cast<int64_t>(blockIdx.x) * n;
  const int thread = static_cast<int>(threadIdx.x);

  float m = -INFINITY;
  for (int i = thread; i < n; i += kThreads) m = fmaxf(m, S_row[i]);
  m = combine_threads(m, smem.values_smem, Larger());

  float l = 0.0f;
  for (int i = thread; i < n; i += kThreads) l += expf(S_row[i] - m);
  l = combine_threads(l, smem.values_smem, Sum());

  for (int i = thread; i < n; i += kThreads) P_row[i] = expf(S_row[i] - m) / l;
}

void softmax(TensorView S, TensorView P) {
  const auto rows = static_cast<unsigned>(S.dim(0));
  launch<softmax_kernel>({rows, kThreads, sizeof(SoftmaxStorage), stream()}, numbers<float>(S), numbers<float>(P),
                         static_cast<int>(S.dim(1)));
}

}  // namespace llm::LLM_GPU::exercises
