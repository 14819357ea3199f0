// CUDA's keywords, its vector types and its small floats, for g++.
#pragma once

#include <cmath>
#include <cstdint>

#include "common/tensor/dtype.h"

// A function of its own file, for AddressSanitizer finds no line in one that several files may share. And never
// inlined, so that its name stands in every backtrace.
#define __global__ static __attribute__((noinline, unused))
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(bytes) alignas(bytes)

namespace llm::simt {

struct uint3 {
  unsigned x = 0, y = 0, z = 0;
};

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

struct alignas(8) int2 {
  int x, y;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};

inline int2 make_int2(int x, int y) { return {x, y}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

using __nv_bfloat16 = llm::bf16;
using __half = llm::f16;

struct alignas(4) __nv_bfloat162 {
  __nv_bfloat16 x, y;
};
struct alignas(4) __half2 {
  __half x, y;
};

// All round to nearest, ties to even, as the device does.
inline float __bfloat162float(__nv_bfloat16 value) { return to_float(value); }
inline __nv_bfloat16 __float2bfloat16(float value) { return to_bf16(value); }
inline __nv_bfloat16 __float2bfloat16_rn(float value) { return to_bf16(value); }
inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) { return {to_bf16(x), to_bf16(y)}; }
inline float2 __bfloat1622float2(__nv_bfloat162 value) { return {to_float(value.x), to_float(value.y)}; }

inline float __half2float(__half value) { return to_float(value); }
inline __half __float2half(float value) { return {std::bit_cast<uint16_t>(static_cast<_Float16>(value))}; }
inline __half __float2half_rn(float value) { return __float2half(value); }
inline __half2 __floats2half2_rn(float x, float y) { return {__float2half(x), __float2half(y)}; }
inline float2 __half22float2(__half2 value) { return {to_float(value.x), to_float(value.y)}; }

}  // namespace llm::simt
