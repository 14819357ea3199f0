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
template <class Combine>
__device__ float combine_threads(float value, float* values_smem, Combine combine) {
  const int thread = static_cast<int>(threadIdx.x);
  values_smem[thread] = value;
  for (int half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();  // what the threads of the other half wrote
    if (thread < half) values_smem[thread] = combine(values_smem[thread], values_smem[thread + half]);
  }
  __syncthreads();
  const float combined = values_smem[0];
  __syncthreads();  // all have read it: the next call may write
  return combined;
}

// One block a row.
__global__ void softmax_kernel(const float* S, float* P, int n) {
  auto& smem = shared_storage<SoftmaxStorage>();
  wait_for_earlier_kernels();
  const float* S_row = S + static_cast<int64_t>(blockIdx.x) * n;
  float* P_row = P + static_cast<int64_t>(blockIdx.x) * n;
  const int thread = static_cast<int>(threadIdx.x);

  float own_m = -INFINITY, own_l = 0.0f;
  for (int i = thread; i < n; i += kThreads) {
    const float score = S_row[i], new_m = fmaxf(own_m, score);
    own_l = own_l * expf(own_m - new_m) + expf(score - new_m);
    own_m = new_m;
  }
  const float m = combine_threads(own_m, smem.values_smem, Larger());
  const float l = combine_threads(own_l * expf(own_m - m), smem.values_smem, Sum());  // 0 for a thread without scores

  for (int i = thread; i < n; i += kThreads) P_row[i] = expf(S_row[i] - m) / l;
}

void softmax(TensorView S, TensorView P) {
  const auto rows = static_cast<unsigned>(S.dim(0));
  launch<softmax_kernel>({rows, kThreads, sizeof(SoftmaxStorage), stream()}, numbers<float>(S), numbers<float>(P),
                         static_cast<int>(S.dim(1)));
}

}  // namespace llm::LLM_GPU::exercises
