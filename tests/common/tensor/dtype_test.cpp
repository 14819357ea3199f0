#include "common/tensor/dtype.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace llm {
namespace {

// The number that a pattern of 1 sign bit, `exponent_bits` and `mantissa_bits` stands for: IEEE 754, section 3.4.
// Infinity and NaN where the exponent is all ones.
double decode(uint32_t pattern, int exponent_bits, int mantissa_bits) {
  const uint32_t mantissa = pattern & ((1u << mantissa_bits) - 1);
  const int exponent = static_cast<int>((pattern >> mantissa_bits) & ((1u << exponent_bits) - 1));
  const double sign = (pattern >> (mantissa_bits + exponent_bits)) & 1 ? -1.0 : 1.0;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  if (exponent == (1 << exponent_bits) - 1) {
    return mantissa == 0 ? sign * std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
  }
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
  return sign * std::ldexp(mantissa + (1u << mantissa_bits), exponent - bias - mantissa_bits);
}

void expect_is(float actual, double expected, uint32_t pattern) {
  if (std::isnan(expected)) {
    EXPECT_TRUE(std::isnan(actual)) << "pattern " << pattern;
  } else {
    EXPECT_EQ(static_cast<double>(actual), expected) << "pattern " << pattern;
    EXPECT_EQ(std::signbit(actual), std::signbit(expected)) << "pattern " << pattern;
  }
}

TEST(DType, EveryF16PatternIsWidenedExactly) {
  for (uint32_t p = 0; p < 65536; ++p) expect_is(to_float(f16{static_cast<uint16_t>(p)}), decode(p, 5, 10), p);
}

TEST(DType, EveryBf16PatternIsWidenedExactly) {
  for (uint32_t p = 0; p < 65536; ++p) expect_is(to_float(bf16{static_cast<uint16_t>(p)}), decode(p, 8, 7), p);
}

// The worked corners of binary16, so that decode() above is itself held to something.
TEST(DType, F16Corners) {
  EXPECT_EQ(to_float(f16{0x3c00}), 1.0f);
  EXPECT_EQ(to_float(f16{0xc000}), -2.0f);
  EXPECT_EQ(to_float(f16{0x7bff}), 65504.0f);
  EXPECT_EQ(to_float(f16{0x0400}), 0x1p-14f);
  EXPECT_EQ(to_float(f16{0x0001}), 0x1p-24f);
  EXPECT_EQ(to_float(f16{0x8001}), -0x1p-24f);
  EXPECT_EQ(to_float(f16{0x03ff}), 1023.0f * 0x1p-24f);
  EXPECT_EQ(to_float(f16{0xfc00}), -std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::signbit(to_float(f16{0x8000})));
  EXPECT_TRUE(std::isnan(to_float(f16{0x7c01})));
}

// What a float between two neighboring bf16 numbers is rounded to: the nearer, or the one whose last bit is 0. Beyond
// the largest stands infinity, as if it were 2^128.
uint32_t rounded_reference(uint32_t float_bits) {
  const uint32_t below = float_bits >> 16;
  const auto value = [](uint32_t pattern) {
    const double decoded = decode(pattern, 8, 7);
    return std::isinf(decoded) ? std::copysign(0x1p128, decoded) : decoded;
  };
  const double exact = decode(float_bits, 8, 23);
  const double to_below = std::abs(exact - value(below)), to_above = std::abs(value(below + 1) - exact);
  if (to_below != to_above) return to_below < to_above ? below : below + 1;
  return below % 2 == 0 ? below : below + 1;
}

TEST(DType, RoundsToTheNearestBf16AndTiesToEven) {
  for (uint32_t p = 0; p < 65536; ++p) {
    if ((p & 0x7f80) == 0x7f80) continue;  // infinities and NaNs: below
    for (const uint32_t rest : {0x0000u, 0x0001u, 0x4000u, 0x7fffu, 0x8000u, 0x8001u, 0xc000u, 0xffffu}) {
      const uint32_t bits = p << 16 | rest;
      EXPECT_EQ(to_bf16(std::bit_cast<float>(bits)).bits, rounded_reference(bits)) << std::hex << bits;
    }
  }
}

TEST(DType, InfinitiesStayAndNansStayNans) {
  EXPECT_EQ(to_bf16(std::numeric_limits<float>::infinity()).bits, 0x7f80);
  EXPECT_EQ(to_bf16(-std::numeric_limits<float>::infinity()).bits, 0xff80);
  EXPECT_EQ(to_bf16(std::numeric_limits<float>::max()).bits, 0x7f80) << "nearer to 2^128 than to any bf16 number";
  for (const uint32_t sign : {0u, 0x80000000u}) {
    // Also those whose payload would be lost with the lower half, or would carry over into the sign.
    for (uint32_t payload = 1; payload < (1u << 23); payload = payload * 2 + 1) {
      for (const uint32_t bits :
           {sign | 0x7f800000 | payload, sign | 0x7fffffff, sign | 0x7f800000 | (payload + 1) / 2}) {
        const bf16 rounded = to_bf16(std::bit_cast<float>(bits));
        EXPECT_TRUE(std::isnan(to_float(rounded))) << std::hex << bits;
        EXPECT_EQ(rounded.bits >> 15, sign >> 31) << std::hex << bits;
      }
    }
  }
}

// As the compiler's own half-precision type does it; every upper half of a float, with all that decides its rounding.
TEST(DType, RoundsToTheNearestF16AndTiesToEven) {
  for (uint32_t p = 0; p < 0x20000; ++p) {
    for (const uint32_t rest : {0x0000u, 0x0001u, 0x0fffu, 0x1000u, 0x1001u, 0x1fffu, 0x2fffu, 0x3000u, 0x7fffu}) {
      const uint32_t bits = p << 15 | rest;
      const float value = std::bit_cast<float>(bits);
      const f16 rounded = to_f16(value);
      const auto expected = std::bit_cast<uint16_t>(static_cast<_Float16>(value));
      if (std::isnan(value)) {
        EXPECT_TRUE(std::isnan(to_float(rounded)) && rounded.bits >> 15 == expected >> 15) << std::hex << bits;
      } else {
        ASSERT_EQ(rounded.bits, expected) << std::hex << bits;
      }
    }
  }
}

TEST(DType, SizesAndNames) {
  EXPECT_EQ(size_of(DType::f32), 4u);
  EXPECT_EQ(size_of(DType::bf16), 2u);
  EXPECT_EQ(size_of(DType::f16), 2u);
  EXPECT_EQ(size_of(DType::i32), 4u);
  EXPECT_STREQ(name_of(DType::f32), "f32");
  EXPECT_STREQ(name_of(DType::bf16), "bf16");
  EXPECT_STREQ(name_of(DType::f16), "f16");
  EXPECT_STREQ(name_of(DType::i32), "i32");
  EXPECT_EQ(dtype_of<float>, DType::f32);
  EXPECT_EQ(dtype_of<bf16>, DType::bf16);
  EXPECT_EQ(dtype_of<f16>, DType::f16);
  EXPECT_EQ(dtype_of<int32_t>, DType::i32);
}

}  // namespace
}  // namespace llm
