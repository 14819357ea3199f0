#include "common/ops/rmsnorm.h"

#include <cmath>
#include <limits>

#include "tests/common/ops/ops_testing.h"
#include "tests/support/expect_close.h"

namespace llm {
namespace {

std::vector<double> reference(const Tensor& x, const Tensor& weight, double eps) {
  const int64_t rows = x.view().dim(0), size = x.view().dim(1);
  std::vector<double> result;
  for (int64_t r = 0; r < rows; ++r) {
    const float* const row = x.view().as<float>() + r * size;
    double squares = 0.0;
    for (int64_t i = 0; i < size; ++i) squares += static_cast<double>(row[i]) * row[i];
    const double scale = 1.0 / std::sqrt(squares / static_cast<double>(size) + eps);
    for (int64_t i = 0; i < size; ++i) result.push_back(row[i] * scale * weight.view().as<float>()[i]);
  }
  return result;
}

TEST(RmsNorm, AgreesWithFloat64) {
  for (const int64_t rows : {0, 1, 3, 65}) {
    for (const int64_t size : {1, 7, 31, 32, 33, 65, 256, 769}) {
      const Tensor x = random_tensor({rows, size}, 1), weight = random_tensor({size}, 2), out({rows, size}, DType::f32);
      const Tensor x_before = copy_of(x);
      cpu::add_rmsnorm(x, {}, weight, 1e-5f, out);
      EXPECT_TRUE(same_bits(x, x_before));
      expect_close(out, reference(x, weight, 1e-5f), 1e-6);
    }
  }
}

TEST(RmsNorm, AddsDeltaToTheResidualFirst) {
  const Tensor x = random_tensor({5, 67}, 1), delta = random_tensor({5, 67}, 2), weight = random_tensor({67}, 3);
  const Tensor x_before = copy_of(x), out({5, 67}, DType::f32);
  cpu::add_rmsnorm(x, delta, weight, 1e-6f, out);
  for (int64_t i = 0; i < x.view().numel(); ++i) {
    EXPECT_EQ(x.view().as<float>()[i], x_before.view().as<float>()[i] + delta.view().as<float>()[i]);
  }
  expect_close(out, reference(x, weight, 1e-6f), 1e-6);
}

TEST(RmsNorm, EpsilonKeepsSmallRowsFinite) {
  const Tensor x = filled_tensor({1, 40}, 0.0f), weight = filled_tensor({40}, 1.0f), out({1, 40}, DType::f32);
  cpu::add_rmsnorm(x, {}, weight, 1e-5f, out);
  expect_close(out, std::vector<double>(40, 0.0), 0.0);
  for (int64_t i = 0; i < 40; ++i) set(x, i, 1e-3f);
  cpu::add_rmsnorm(x, {}, weight, 1e-5f, out);
  expect_close(out, std::vector<double>(40, 1e-3 / std::sqrt(1e-6 + 1e-5)), 1e-6);
}

TEST(RmsNorm, NanStaysInItsRow) {
  Tensor x = random_tensor({3, 35}, 1);
  const Tensor weight = random_tensor({35}, 2), out({3, 35}, DType::f32);
  set(x, 35 + 34, std::numeric_limits<float>::quiet_NaN());
  cpu::add_rmsnorm(x, {}, weight, 1e-5f, out);
  for (int64_t i = 0; i < 105; ++i) EXPECT_EQ(std::isfinite(out.view().as<float>()[i]), i / 35 != 1);
}

TEST(RmsNorm, BitsDependOnTheRowAlone) {
  constexpr int64_t kRows = 67, kSize = 777;
  const Tensor x = random_tensor({kRows, kSize}, 1), delta = random_tensor({kRows, kSize}, 2);
  const Tensor weight = random_tensor({kSize}, 3);
  const Tensor alone_x = copy_of(x), alone({kRows, kSize}, DType::f32);
  for (int64_t r = 0; r < kRows; ++r) {
    cpu::add_rmsnorm(alone_x.view().rows(r, r + 1), delta.view().rows(r, r + 1), weight, 1e-5f,
                     alone.view().rows(r, r + 1));
  }
  for (int threads = 1; threads <= 4; ++threads) {
    const Threads scope(threads);
    const Tensor residual = copy_of(x), out({kRows, kSize}, DType::f32);
    cpu::add_rmsnorm(residual, delta, weight, 1e-5f, out);
    EXPECT_TRUE(same_bits(out, alone)) << threads << " threads";
    EXPECT_TRUE(same_bits(residual, alone_x)) << threads << " threads";
  }
}

}  // namespace
}  // namespace llm
