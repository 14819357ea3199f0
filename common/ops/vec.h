// Vectors of floats as wide as the registers of the machine this is built for, by the compilers' vector extension:
// +, *, < and ?: work on all lanes at once.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

#include "common/tensor/dtype.h"

namespace llm {

#if defined(__AVX512F__)
inline constexpr int kLanes = 16;
#elif defined(__AVX__)
inline constexpr int kLanes = 8;
#else
inline constexpr int kLanes = 4;  // SSE, NEON
#endif

typedef float Vec __attribute__((vector_size(kLanes * sizeof(float))));
typedef uint32_t VecBits __attribute__((vector_size(kLanes * sizeof(uint32_t))));

inline Vec load(const float* p) {
  Vec v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

inline Vec load(const bf16* p) {
  typedef uint16_t Halves __attribute__((vector_size(kLanes * sizeof(uint16_t))));
  Halves halves;
  std::memcpy(&halves, p, sizeof halves);
  return std::bit_cast<Vec>(__builtin_convertvector(halves, VecBits) << 16);
}

inline void store(float* p, Vec v) { std::memcpy(p, &v, sizeof v); }

// Lane i and lane i + half, then again, down to one number.
inline float sum(Vec v) {
  float lanes[kLanes];
  store(lanes, v);
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  }
  return lanes[0];
}

// Lane i is sum(v[i]), with the same bits, and takes a fraction of the time. `Vectors` counts down to one.
template <int Vectors = kLanes>
inline Vec sum_each(const Vec* v) {
  if constexpr (Vectors == 1) {
    return v[0];
  } else {
    // Groups of neighboring lanes that belong to one vector of v: the even ones of both halves plus the odd ones.
    constexpr int kGroup = kLanes / Vectors;
    const Vec a = sum_each<Vectors / 2>(v), b = sum_each<Vectors / 2>(v + Vectors / 2);
    return [&]<int... L>(std::integer_sequence<int, L...>) {
      return __builtin_shufflevector(a, b, (L / kGroup * 2 * kGroup + L % kGroup)...) +
             __builtin_shufflevector(a, b, (L / kGroup * 2 * kGroup + L % kGroup + kGroup)...);
    }
    (std::make_integer_sequence<int, kLanes>());
  }
}

inline float max(Vec v) {
  float largest = v[0];
  for (int i = 1; i < kLanes; ++i) largest = largest < v[i] ? v[i] : largest;
  return largest;
}

}  // namespace llm
