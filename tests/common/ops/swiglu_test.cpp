#include "common/ops/swiglu.h"

#include <cmath>
#include <limits>

#include "tests/common/ops/ops_testing.h"
#include "tests/support/expect_close.h"

namespace llm {
namespace {

Tensor swiglu(const TensorView& gate_up) {
  Tensor out({gate_up.dim(0), gate_up.dim(1) / 2}, DType::f32);
  cpu::swiglu(gate_up, out);
  return out;
}

double silu(double z) { return z / (1.0 + std::exp(-z)); }

TEST(Swiglu, AgreesWithFloat64) {
  for (const int64_t rows : {0, 1, 3, 31}) {
    for (const int64_t width : kOddSizes) {
      const Tensor gate_up = random_tensor({rows, 2 * width}, 1);
      for (int64_t i = 0; i < gate_up.view().numel(); ++i) gate_up.view().as<float>()[i] *= 20.0f;
      std::vector<double> expected;
      for (int64_t r = 0; r < rows; ++r) {
        const float* const row = gate_up.view().as<float>() + r * 2 * width;
        for (int64_t i = 0; i < width; ++i) expected.push_back(silu(row[i]) * row[width + i]);
      }
      expect_close(swiglu(gate_up), expected, 5e-7);
    }
  }
}

TEST(Swiglu, LargeGatesAreTheirOwnOrNothing) {
  const Tensor gate_up({1, 8}, DType::f32);
  std::ranges::copy(std::initializer_list<float>{100.0f, 1e30f, -100.0f, -1e30f, 1.0f, 1.0f, 1.0f, 1.0f},
                    gate_up.view().as<float>());
  expect_close(swiglu(gate_up), std::vector<double>{100.0, 1e30f, 0.0, 0.0}, 1e-6);
}

TEST(Swiglu, NanAndInfinityAreNotHidden) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    for (const int64_t place : {2, 11 + 2}) {
      Tensor gate_up = random_tensor({3, 22}, 1);
      set(gate_up, 22 + place, bad);
      const Tensor out = swiglu(gate_up);
      for (int64_t i = 0; i < 33; ++i) EXPECT_EQ(std::isfinite(out.view().as<float>()[i]), i != 11 + 2);
    }
  }
}

TEST(Swiglu, BitsDependOnTheRowAlone) {
  const Tensor gate_up = random_tensor({67, 2 * 333}, 2);
  Tensor one_by_one({67, 333}, DType::f32);
  for (int64_t r = 0; r < 67; ++r) cpu::swiglu(gate_up.view().rows(r, r + 1), one_by_one.view().rows(r, r + 1));
  for (int threads = 1; threads <= 4; ++threads) {
    const Threads scope(threads);
    EXPECT_TRUE(same_bits(swiglu(gate_up), one_by_one)) << threads << " threads";
  }
}

}  // namespace
}  // namespace llm
