#include "tests/support/expect_close.h"

#include <gtest/gtest-spi.h>

#include <limits>

namespace llm {
namespace {

const double kNan = std::numeric_limits<double>::quiet_NaN();
const double kInfinity = std::numeric_limits<double>::infinity();

TEST(ExpectClose, WithinTheTolerance) {
  EXPECT_TRUE(is_close({}, {}, 0.0));
  EXPECT_TRUE(is_close({1.0, -2.0}, {1.0, -2.0}, 0.0));
  EXPECT_TRUE(is_close({0.001, 1001.0}, {0.0, 1000.0}, 0.0011));
  EXPECT_FALSE(is_close({0.001, 0.0}, {0.0, 0.0}, 0.0009));
  EXPECT_FALSE(is_close({1001.0}, {1000.0}, 0.0009));
}

TEST(ExpectClose, NanAndInfinityAreNeverClose) {
  for (const double bad : {kNan, kInfinity, -kInfinity}) {
    EXPECT_FALSE(is_close({1.0, bad}, {1.0, 1.0}, 1e9));
    EXPECT_FALSE(is_close({1.0, 1.0}, {1.0, bad}, 1e9));
    EXPECT_FALSE(is_close({bad}, {bad}, 1e9));
  }
}

TEST(ExpectClose, SizesAndShapesMustAgree) {
  EXPECT_FALSE(is_close({1.0}, {1.0, 1.0}, 1e9));
  EXPECT_FALSE(is_close({}, {1.0}, 1e9));
  static const Tensor wide({2, 3}, DType::f32), tall({3, 2}, DType::f32);
  EXPECT_NONFATAL_FAILURE(expect_close(wide, tall, 1e9), "shape [2, 3], expected [3, 2]");
}

TEST(ExpectClose, FailsTheTest) {
  EXPECT_NONFATAL_FAILURE(expect_close(std::vector<float>{1.0f}, std::vector<double>{2.0}, 0.1), "element 0 is 1");
}

}  // namespace
}  // namespace llm
