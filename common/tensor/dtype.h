// The number formats of weights, activations and tables.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace llm {

enum class DType : uint8_t { f32, bf16, f16, i32 };

constexpr size_t size_of(DType dtype) { return dtype == DType::bf16 || dtype == DType::f16 ? 2 : 4; }

constexpr const char* name_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "f32";
    case DType::bf16:
      return "bf16";
    case DType::f16:
      return "f16";
    case DType::i32:
      return "i32";
  }
  return "?";
}

// bfloat16: the upper half of an IEEE float, so widening is a shift and exact.
struct bf16 {
  uint16_t bits;
};

// IEEE binary16: 1 sign bit, 5 of exponent, 10 of mantissa.
struct f16 {
  uint16_t bits;
};

inline float to_float(float value) { return value; }

inline float to_float(bf16 value) { return std::bit_cast<float>(static_cast<uint32_t>(value.bits) << 16); }

inline float to_float(f16 value) {
  const uint32_t sign = static_cast<uint32_t>(value.bits & 0x8000) << 16;
  const uint32_t magnitude = value.bits & 0x7fff;
  if (magnitude >= 0x7c00) return std::bit_cast<float>(sign | 0x7f800000 | (magnitude & 0x3ff) << 13);  // inf, NaN
  if (magnitude < 0x400) {  // zero and the subnormals: magnitude · 2^-24
    const float value_f32 = static_cast<float>(magnitude) * 0x1p-24f;
    return sign ? -value_f32 : value_f32;
  }
  return std::bit_cast<float>(sign | ((magnitude << 13) + ((127 - 15) << 23)));
}

// Rounds to nearest, ties to even; a NaN stays one.
inline bf16 to_bf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffff) > 0x7f800000) return {static_cast<uint16_t>((bits >> 16) | 0x40)};
  return {static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};
}

// Rounds to nearest, ties to even; what is too large becomes infinite, and a NaN stays one.
inline f16 to_f16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000, magnitude = bits & 0x7fffffff;
  const auto signed_bits = [sign](uint32_t rounded) { return f16{static_cast<uint16_t>(sign | rounded)}; };
  if (magnitude > 0x7f800000) return signed_bits(0x7e00);
  if (magnitude >= 0x477ff000) return signed_bits(0x7c00);  // 65520, from which on infinity is nearer
  if (magnitude < 0x38800000) {  // below 2^-14, the subnormals: adding 2^-1 leaves what f16 can hold in the last bits
    return signed_bits(std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000);
  }
  return signed_bits((magnitude - ((127 - 15) << 23) + 0xfff + ((magnitude >> 13) & 1)) >> 13);
}

template <class T>
T from_float(float value);
template <>
inline float from_float<float>(float value) {
  return value;
}
template <>
inline bf16 from_float<bf16>(float value) {
  return to_bf16(value);
}
template <>
inline f16 from_float<f16>(float value) {
  return to_f16(value);
}

template <class T>
constexpr DType dtype_of = DType::f32;
template <>
inline constexpr DType dtype_of<bf16> = DType::bf16;
template <>
inline constexpr DType dtype_of<f16> = DType::f16;
template <>
inline constexpr DType dtype_of<int32_t> = DType::i32;

}  // namespace llm
