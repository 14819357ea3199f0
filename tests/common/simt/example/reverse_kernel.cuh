// The kernel that docs/devices.md looks into: right, and with one mistake each.
#pragma once

#include "common/cuda/launch.h"

namespace llm::LLM_GPU {

enum class Mistake { none, no_barrier, barrier_in_branch, beyond_end };

// region: kernel
struct ReverseStorage {
  float numbers_smem[64];
};

// Each block of 64 threads turns its 64 numbers around: the first becomes the last.
//   numbers [blocks, 64]
template <Mistake mistake>
__global__ void reverse_kernel(float* numbers) {
  auto& smem = shared_storage<ReverseStorage>();
  const int thread = static_cast<int>(threadIdx.x);
  float* const block_numbers = numbers + blockIdx.x * 64;
  const int last = mistake == Mistake::beyond_end ? 64 : 63;

  smem.numbers_smem[thread] = block_numbers[thread];
  if (mistake == Mistake::barrier_in_branch && thread < 40) __syncthreads();
  if (mistake == Mistake::barrier_in_branch) __syncwarp();
  if (mistake == Mistake::none || mistake == Mistake::beyond_end) __syncthreads();
  block_numbers[thread] = smem.numbers_smem[last - thread];
}
// endregion

}  // namespace llm::LLM_GPU
