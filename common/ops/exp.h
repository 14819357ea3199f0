// e to the power of x, in a form that the compiler turns into vector instructions.
#pragma once

#include <bit>
#include <cstdint>

namespace llm {

// e^x = 2^n · e^r with n = round(x / ln 2) and |r| <= ln(2)/2, where e^r is its Taylor series' first eight terms, the
// last coefficients fitted (Cephes' expf). Within 2 units in the last place, subnormal results included; 0 for −inf and
// below −104, inf above 88.73, NaN for NaN. No branches and no table, so loops over it vectorize.
inline float exp_f32(float x) {
  constexpr float kLog2E = 1.44269504088896341f;
  constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;  // their sum is ln 2; n · high is exact
  constexpr float kRound = 0x1.8p23f;  // added and taken away, it leaves the nearest integer, also in the low bits
  x = x < -104.0f ? -104.0f : x;
  x = x > 89.0f ? 89.0f : x;
  const float shifted = x * kLog2E + kRound;
  const float n = shifted - kRound;
  const float r = (x - n * kLn2High) - n * kLn2Low;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  // 2^n in two factors: n reaches from −150 to 128, and one float's exponent only from −126 to 127.
  const int32_t exponent = std::bit_cast<int32_t>(shifted) - std::bit_cast<int32_t>(kRound);
  const int32_t half = exponent >> 1;
  const float scale1 = std::bit_cast<float>(static_cast<uint32_t>(half + 127) << 23);
  const float scale2 = std::bit_cast<float>(static_cast<uint32_t>(exponent - half + 127) << 23);
  return p * scale1 * scale2;
}

}  // namespace llm
