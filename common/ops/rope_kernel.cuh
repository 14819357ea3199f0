// Rotary embedding and the write of K and V into their slots: one warp a head of a token.
#pragma once

#include "common/cuda/numbers.cuh"
#include "common/cuda/ptx.cuh"
#include "common/cuda/warp.cuh"

namespace llm::LLM_GPU {

struct RopeShape {
  int heads, kv_heads, head_dim;
};

// RMSNorm's factor for one head (QK-norm), in every lane.
__device__ inline float head_scale(const float* head, int head_dim, float eps) {
  float sum_of_squares = 0.0f;
  for (int i = static_cast<int>(threadIdx.x); i < head_dim; i += kWarpSize) sum_of_squares += head[i] * head[i];
  return 1.0f / sqrtf(warp_sum(sum_of_squares) / static_cast<float>(head_dim) + eps);
}

// Block (32, warps): thread y is the warp. Grid (tokens, heads + 2 · kv_heads in groups of `warps`).
//   qkv [num_tokens, (heads + 2 · kv_heads) · head_dim]   positions, slots [num_tokens]
//   cos_sin [context_length, head_dim]   q_norm, k_norm [head_dim] or null
//   q [num_tokens, heads, head_dim]   k, v [num_slots, kv_heads, head_dim]
template <class T>
__global__ void rope_and_store_kernel(const float* qkv, const int32_t* positions, const int32_t* slots,
                                      const float* cos_sin, const float* q_norm, const float* k_norm, float eps,
                                      RopeShape shape, T* q, T* k, T* v) {
  wait_for_earlier_kernels();
  const int head = static_cast<int>(blockIdx.y * blockDim.y + threadIdx.y);  // of Q, then of K, then of V
  const int num_heads = shape.heads + 2 * shape.kv_heads;
  if (head >= num_heads) return;
  const int64_t token = blockIdx.x;
  const int position = positions[token];
  if (position < 0) return;  // padding
  const int head_dim = shape.head_dim, half = head_dim / 2;
  const int lane = static_cast<int>(threadIdx.x);
  const float* from = qkv + (token * num_heads + head) * head_dim;
  const int64_t slot = slots[token];

  if (head >= shape.heads + shape.kv_heads) {
    const int kv_head = head - shape.heads - shape.kv_heads;
    T* to = v + (slot * shape.kv_heads + kv_head) * head_dim;
    for (int i = lane; i < head_dim; i += kWarpSize) narrow(from[i], to[i]);
    return;
  }
  const bool is_query = head < shape.heads;
  T* to = is_query ? q + (token * shape.heads + head) * head_dim
                   : k + (slot * shape.kv_heads + head - shape.heads) * head_dim;
  const float* norm = is_query ? q_norm : k_norm;
  const float scale = norm == nullptr ? 1.0f : head_scale(from, head_dim, eps);
  const float* cosines = cos_sin + static_cast<int64_t>(position) * head_dim;
  const float* sines = cosines + half;
  for (int i = lane; i < half; i += kWarpSize) {
    float a = from[i], b = from[i + half];
    if (norm != nullptr) {
      a *= scale * norm[i];
      b *= scale * norm[i + half];
    }
    narrow(a * cosines[i] - b * sines[i], to[i]);
    narrow(b * cosines[i] + a * sines[i], to[i + half]);
  }
}

}  // namespace llm::LLM_GPU
