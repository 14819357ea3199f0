#include "common/simt/types.h"

#include "common/simt/math.h"
#include "tests/common/simt/kernel_test.h"

namespace llm::simt {
namespace {

TEST(Types, AreAlignedAsOnTheDevice) {
  EXPECT_EQ(alignof(float4), 16u);
  EXPECT_EQ(alignof(uint4), 16u);
  EXPECT_EQ(alignof(int4), 16u);
  EXPECT_EQ(alignof(float2), 8u);
  EXPECT_EQ(alignof(uint2), 8u);
  EXPECT_EQ(alignof(int2), 8u);
  EXPECT_EQ(alignof(__nv_bfloat162), 4u);
  EXPECT_EQ(alignof(__half2), 4u);
  EXPECT_EQ(sizeof(__half2), 4u);
}

TEST(Types, HalvesRoundToTheNearestAndTiesToEven) {
  const auto bits = [](float value) { return __float2half(value).bits; };
  EXPECT_EQ(bits(1.0f), 0x3c00);
  EXPECT_EQ(bits(1.0f + 0x1p-11f), 0x3c00);             // halfway: down to even
  EXPECT_EQ(bits(1.0f + 0x1p-10f + 0x1p-11f), 0x3c02);  // halfway: up to even
  EXPECT_EQ(bits(1.0f + 0x1p-11f + 0x1p-20f), 0x3c01);
  EXPECT_EQ(bits(65504.0f), 0x7bff);
  EXPECT_EQ(bits(65520.0f), 0x7c00);   // infinity
  EXPECT_EQ(bits(-0x1p-24f), 0x8001);  // the smallest subnormal
  EXPECT_EQ(bits(0x1p-26f), 0x0000);
  for (unsigned half = 0; half < 0x10000; ++half) {
    const __half value{static_cast<uint16_t>(half)};
    if ((half & 0x7fff) > 0x7c00) {
      EXPECT_TRUE(std::isnan(__half2float(value)));
    } else {
      ASSERT_EQ(bits(__half2float(value)), half);
    }
  }
}

TEST(Types, PairsKeepTheirOrder) {
  const float2 b = __bfloat1622float2(__floats2bfloat162_rn(1.0f, -2.0f));
  EXPECT_EQ(b.x, 1.0f);
  EXPECT_EQ(b.y, -2.0f);
  const float2 h = __half22float2(__floats2half2_rn(3.0f, -4.0f));
  EXPECT_EQ(h.x, 3.0f);
  EXPECT_EQ(h.y, -4.0f);
  EXPECT_EQ(__float2bfloat16(1.0f + 0x1p-8f).bits, 0x3f80);               // halfway: down to even
  EXPECT_EQ(__float2bfloat16_rn(1.0f + 0x1p-7f + 0x1p-8f).bits, 0x3f82);  // halfway: up to even
}

TEST(Math, BitsAsCudaCountsThem) {
  EXPECT_EQ(__ffs(0), 0);
  EXPECT_EQ(__ffs(0x80000000u), 32);
  EXPECT_EQ(__clz(0), 32);
  EXPECT_EQ(__clz(1), 31);
  EXPECT_EQ(__popc(0xf0f0u), 8);
  EXPECT_EQ(__float_as_uint(1.0f), 0x3f800000u);
  EXPECT_EQ(__uint_as_float(0xc0000000u), -2.0f);
  EXPECT_EQ(max(1.0f, std::nanf("")), 1.0f);
  EXPECT_EQ(min(3u, 5u), 3u);
  EXPECT_EQ(rsqrtf(4.0f), 0.5f);
}

}  // namespace
}  // namespace llm::simt
