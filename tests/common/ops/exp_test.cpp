#include "common/ops/exp.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace llm {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// From the most negative argument with a nonzero result to the largest with a finite one.
TEST(Exp, WithinTwoUnitsInTheLastPlace) {
  double worst = 0.0;
  for (double x = -104.5; x < 88.72; x += 0.000731) {
    const float argument = static_cast<float>(x);
    const double exact = std::exp(static_cast<double>(argument));
    const double unit = std::max(std::ldexp(1.0, std::ilogb(exact) - 23), 0x1p-149);
    worst = std::max(worst, std::abs(exp_f32(argument) - exact) / unit);
  }
  EXPECT_LE(worst, 2.0);
}

TEST(Exp, Limits) {
  EXPECT_EQ(exp_f32(0.0f), 1.0f);
  EXPECT_EQ(exp_f32(-0.0f), 1.0f);
  for (const float x : {-104.1f, -200.0f, -1e30f, -kInfinity}) EXPECT_EQ(exp_f32(x), 0.0f) << x;
  for (const float x : {88.73f, 89.0f, 100.0f, 1e30f, kInfinity}) EXPECT_EQ(exp_f32(x), kInfinity) << x;
  EXPECT_TRUE(std::isnan(exp_f32(std::numeric_limits<float>::quiet_NaN())));
  EXPECT_TRUE(std::isnan(exp_f32(-std::numeric_limits<float>::quiet_NaN())));
}

}  // namespace
}  // namespace llm
