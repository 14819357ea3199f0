// Numbers of the tensors as CUDA's types: how kernels widen, round and load them.
#pragma once

#include "common/cuda/runtime.h"
#include "common/tensor/tensor.h"

namespace llm::LLM_GPU {

#if defined(LLM_SIMT)
inline constexpr Device kThisDevice = Device::simt;
#else
inline constexpr Device kThisDevice = Device::cuda;
#endif

__device__ inline float widen(float value) { return value; }
__device__ inline float widen(__nv_bfloat16 value) { return __bfloat162float(value); }
__device__ inline float widen(__half value) { return __half2float(value); }

__device__ inline void narrow(float value, float& out) { out = value; }
__device__ inline void narrow(float value, __nv_bfloat16& out) { out = __float2bfloat16(value); }
__device__ inline void narrow(float value, __half& out) { out = __float2half(value); }

// Two numbers rounded and side by side in one register, the first in the lower half: what tensor cores take.
template <class T>
__device__ unsigned narrow_pair(float first, float second);
template <>
__device__ inline unsigned narrow_pair<__nv_bfloat16>(float first, float second) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(first, second);
  return *reinterpret_cast<const unsigned*>(&pair);
}
template <>
__device__ inline unsigned narrow_pair<__half>(float first, float second) {
  const __half2 pair = __floats2half2_rn(first, second);
  return *reinterpret_cast<const unsigned*>(&pair);
}

// N numbers side by side that are loaded and stored as one, up to 16 bytes.
template <class T, int N>
struct alignas(sizeof(T) * N) Pack {
  T values[N];
};

template <class T>
inline constexpr int kPackSize = 16 / sizeof(T);  // numbers in the widest load

template <class T>
constexpr DType gpu_dtype = DType::f32;
template <>
inline constexpr DType gpu_dtype<__nv_bfloat16> = DType::bf16;
template <>
inline constexpr DType gpu_dtype<__half> = DType::f16;
template <>
inline constexpr DType gpu_dtype<int32_t> = DType::i32;

// A view's numbers as T, which must be its dtype; null for an empty view.
template <class T>
T* numbers(const TensorView& view) {
  require(view.data == nullptr || view.dtype == gpu_dtype<T>, "a {} tensor read as {}", name_of(view.dtype),
          name_of(gpu_dtype<T>));
  return static_cast<T*>(view.data);
}

// The same, N at a time; rows must begin at a multiple of N numbers.
template <class T, int N>
Pack<T, N>* packs(const TensorView& view) {
  return reinterpret_cast<Pack<T, N>*>(numbers<T>(view));
}

// Calls run with a number of the type of a float dtype: f32 or bf16, and f16 where weights may have it.
template <class Run>
void with_type(DType dtype, Run run) {
  if (dtype == DType::f32) return run(float{});
  require(dtype == DType::bf16, "a {} tensor where f32 or bf16 is read", name_of(dtype));
  run(__nv_bfloat16{});
}

template <class Run>
void with_weight_type(DType dtype, Run run) {
  if (dtype == DType::f16) return run(__half{});
  with_type(dtype, run);
}

inline unsigned ceil_div(int64_t a, int64_t b) { return static_cast<unsigned>((a + b - 1) / b); }

}  // namespace llm::LLM_GPU
