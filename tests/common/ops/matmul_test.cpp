#include "common/ops/matmul.h"

#include <cmath>
#include <limits>

#include "tests/common/ops/ops_testing.h"
#include "tests/support/expect_close.h"

namespace llm {
namespace {

constexpr DType kWeightTypes[] = {DType::f32, DType::bf16};

Matrix matrix_of(const Tensor& weight, DType dtype) {
  const TensorView part = weight;
  return cpu::make_matrix({&part, 1}, dtype);
}

Tensor product(const TensorView& x, const Matrix& weight, const TensorView& bias = {}) {
  Tensor out({x.dim(0), weight.out_features}, DType::f32);
  cpu::matmul(x, weight, bias, out);
  return out;
}

// x · weightᵀ + bias by the plain loop, summed in Sum; the weight as the matrix rounds it.
template <class Sum>
std::vector<double> plain_product(const Tensor& x, const Tensor& weight, DType dtype, const Tensor& bias = {}) {
  const int64_t rows = x.view().dim(0), in = x.view().dim(1), out = weight.view().dim(0);
  std::vector<double> result;
  for (int64_t r = 0; r < rows; ++r) {
    const float* const x_row = x.view().as<float>() + r * in;
    for (int64_t o = 0; o < out; ++o) {
      Sum sum = 0;
      for (int64_t k = 0; k < in; ++k) {
        const float w = weight.view().as<float>()[o * in + k];
        sum += static_cast<Sum>(x_row[k]) * (dtype == DType::bf16 ? to_float(to_bf16(w)) : w);
      }
      result.push_back(sum + (bias.empty() ? 0.0f : bias.view().as<float>()[o]));
    }
  }
  return result;
}

// The error against float64 is at most twice that of the plain loop in f32, or what chance rounding leaves where a few
// outputs make that too small a sample.
void expect_accurate(const Tensor& actual, const Tensor& x, const Tensor& weight, DType dtype,
                     const Tensor& bias = {}) {
  const std::vector<double> exact = plain_product<double>(x, weight, dtype, bias);
  const std::vector<double> plain = plain_product<float>(x, weight, dtype, bias);
  double plain_error = 0x1p-24 * std::sqrt(static_cast<double>(x.view().dim(1)));
  for (size_t i = 0; i < exact.size(); ++i) plain_error = std::max(plain_error, std::abs(plain[i] - exact[i]));
  expect_close(actual, exact, 2 * plain_error);
}

TEST(Matmul, AgreesWithFloat64) {
  for (const DType dtype : kWeightTypes) {
    for (const int64_t rows : {1, 2, 3, 4, 5, 6, 7, 13}) {
      for (const int64_t in : {1, 2, 31, 33, 65, 257, 383, 384, 385, 1031}) {
        for (const int64_t out : {1, 15, 16, 17, 31, 33, 65, 101}) {
          const Tensor x = random_tensor({rows, in}, 1), weight = random_tensor({out, in}, 2);
          expect_accurate(product(x, matrix_of(weight, dtype)), x, weight, dtype);
        }
      }
    }
  }
}

TEST(Matmul, ManyRowsAgreeWithFloat64) {
  for (const DType dtype : kWeightTypes) {
    const Tensor x = random_tensor({401, 409}, 1), weight = random_tensor({67, 409}, 2), bias = random_tensor({67}, 3);
    expect_accurate(product(x, matrix_of(weight, dtype), bias), x, weight, dtype, bias);
  }
}

TEST(Matmul, BitsDoNotDependOnTheNumberOfRows) {
  constexpr int64_t kMaxRows = 67;
  struct Size {
    int64_t in, out;
  };
  for (const DType dtype : kWeightTypes) {
    for (const Size size : {Size{1, 1}, {31, 33}, {33, 31}, {65, 127}, {256, 96}, {401, 67}, {1153, 65}}) {
      const Tensor x = random_tensor({kMaxRows, size.in}, 3), bias = random_tensor({size.out}, 4);
      const Matrix weight = matrix_of(random_tensor({size.out, size.in}, 5), dtype);
      Tensor one_by_one({kMaxRows, size.out}, DType::f32);
      for (int64_t r = 0; r < kMaxRows; ++r) {
        cpu::matmul(x.view().rows(r, r + 1), weight, bias, one_by_one.view().rows(r, r + 1));
      }
      for (int64_t rows = 1; rows <= kMaxRows; ++rows) {
        EXPECT_TRUE(same_bits(product(x.view().rows(0, rows), weight, bias), one_by_one.view().rows(0, rows)))
            << rows << " rows of " << size.in << " to " << size.out << ", " << name_of(dtype);
      }
    }
  }
}

TEST(Matmul, BitsDoNotDependOnTheNumberOfThreads) {
  for (const DType dtype : kWeightTypes) {
    const Tensor x = random_tensor({410, 601}, 6), bias = random_tensor({523}, 7);
    const Matrix weight = matrix_of(random_tensor({523, 601}, 8), dtype);
    for (const int64_t rows : {1, 2, 5, 6, 7, 67, 192, 193, 410}) {
      Tensor one_thread;
      for (int threads = 1; threads <= 4; ++threads) {
        const Threads scope(threads);
        const Tensor out = product(x.view().rows(0, rows), weight, bias);
        if (threads == 1) one_thread = out;
        EXPECT_TRUE(same_bits(out, one_thread)) << rows << " rows, " << threads << " threads";
      }
    }
  }
}

TEST(Matmul, MoreThreadsThanPanels) {
  const Threads scope(4);
  const Tensor x = random_tensor({300, 400}, 1), weight = random_tensor({3, 400}, 2);
  expect_accurate(product(x, matrix_of(weight, DType::f32)), x, weight, DType::f32);
}

TEST(Matmul, BiasIsAddedOnceAndLast) {
  const Tensor x = random_tensor({9, 900}, 1), bias = random_tensor({37}, 2);
  const Matrix weight = matrix_of(random_tensor({37, 900}, 3), DType::f32);
  const Tensor without = product(x, weight), with = product(x, weight, bias);
  for (int64_t i = 0; i < without.view().numel(); ++i) {
    EXPECT_EQ(with.view().as<float>()[i], without.view().as<float>()[i] + bias.view().as<float>()[i % 37]);
  }
}

// Rows of the identity pick the packed weight out again, each number of which must be in its place.
TEST(Matmul, PackingKeepsEveryNumber) {
  for (const DType dtype : kWeightTypes) {
    for (const int64_t in : kOddSizes) {
      Tensor identity = filled_tensor({in, in}, 0.0f);
      for (int64_t i = 0; i < in; ++i) set(identity, i * in + i, 1.0f);
      const Tensor weight = random_tensor({71, in}, 9);
      const Tensor out = product(identity, matrix_of(weight, dtype));
      for (int64_t k = 0; k < in; ++k) {
        for (int64_t o = 0; o < 71; ++o) {
          const float w = weight.view().as<float>()[o * in + k];
          EXPECT_EQ(out.view().as<float>()[k * 71 + o], dtype == DType::bf16 ? to_float(to_bf16(w)) : w);
        }
      }
    }
  }
}

TEST(Matmul, PartsOfAnyDtypeAreStacked) {
  const Tensor parts[] = {random_tensor({33, 41}, 1, DType::f32), random_tensor({5, 41}, 2, DType::bf16),
                          random_tensor({18, 41}, 3, DType::f16)};
  const TensorView views[] = {parts[0], parts[1], parts[2]};
  const Tensor x = random_tensor({3, 41}, 4);
  for (const DType dtype : kWeightTypes) {
    const Matrix stacked = cpu::make_matrix(views, dtype);
    ASSERT_EQ(stacked.out_features, 33 + 5 + 18);
    const Tensor out = product(x, stacked);
    int64_t begin = 0;
    for (const Tensor& part : parts) {
      const Tensor alone = product(x, matrix_of(part, dtype));
      const int64_t width = part.view().dim(0);
      for (int64_t r = 0; r < 3; ++r) {
        for (int64_t o = 0; o < width; ++o) {
          EXPECT_EQ(out.view().as<float>()[r * 56 + begin + o], alone.view().as<float>()[r * width + o]);
        }
      }
      begin += width;
    }
  }
}

TEST(Matmul, NanAndInfinityAreNotHidden) {
  for (const DType dtype : kWeightTypes) {
    for (const int64_t rows : {1, 5, 13}) {
      Tensor x = random_tensor({rows, 77}, 1), weight = random_tensor({35, 77}, 2);
      set(x, (rows - 1) * 77 + 76, std::numeric_limits<float>::quiet_NaN());
      set(weight, 34 * 77 + 3, std::numeric_limits<float>::infinity());
      const Tensor out = product(x, matrix_of(weight, dtype));
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t o = 0; o < 35; ++o) {
          const float value = out.view().as<float>()[r * 35 + o];
          EXPECT_EQ(std::isfinite(value), r != rows - 1 && o != 34);
        }
      }
    }
  }
}

TEST(Matmul, EmptyShapes) {
  const Matrix weight = matrix_of(random_tensor({19, 7}, 1), DType::f32);
  EXPECT_EQ(product(Tensor({0, 7}, DType::f32), weight).view().numel(), 0);

  const Tensor bias = random_tensor({19}, 2);
  const Matrix no_inputs = matrix_of(Tensor({19, 0}, DType::f32), DType::f32);
  const Tensor out = product(Tensor({2, 0}, DType::f32), no_inputs, bias);
  EXPECT_TRUE(same_bits(out.view().rows(1, 2).reshaped({19}), bias));
  expect_close(product(Tensor({2, 0}, DType::f32), no_inputs), std::vector<double>(38, 0.0), 0.0);
}

TEST(Matmul, WrongShapesAreAMistakeOfTheProgram) {
  const Matrix weight = matrix_of(random_tensor({5, 7}, 1), DType::f32);
  const Tensor x({2, 7}, DType::f32), wrong_x({2, 8}, DType::f32), out({2, 5}, DType::f32),
      wrong_out({2, 6}, DType::f32);
  EXPECT_THROW(cpu::matmul(wrong_x, weight, {}, out), std::logic_error);
  EXPECT_THROW(cpu::matmul(x, weight, {}, wrong_out), std::logic_error);
  EXPECT_THROW(cpu::matmul(x, weight, Tensor({4}, DType::f32), out), std::logic_error);
  const Tensor wide({2, 9}, DType::f32), narrow({2, 8}, DType::f32);
  const TensorView uneven[] = {wide, narrow};
  EXPECT_THROW(cpu::make_matrix(uneven, DType::f32), std::logic_error);
}

}  // namespace
}  // namespace llm
