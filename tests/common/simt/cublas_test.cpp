#include "common/simt/cublas.h"

#include <random>

#include "tests/common/simt/kernel_test.h"

namespace llm::simt {
namespace {

template <class T>
T narrow(float value) {
  if constexpr (std::is_same_v<T, float>) return value;
  if constexpr (std::is_same_v<T, __half>) return __float2half(value);
  if constexpr (std::is_same_v<T, __nv_bfloat16>) return __float2bfloat16(value);
}

template <class T>
constexpr cudaDataType kType = std::is_same_v<T, float>    ? CUDA_R_32F
                               : std::is_same_v<T, __half> ? CUDA_R_16F
                                                           : CUDA_R_16BF;

// Small whole numbers, so that every product and sum is exact in every format.
template <class T>
std::vector<T> whole_numbers(size_t size, int largest, std::mt19937& random) {
  std::uniform_int_distribution<int> number(-largest, largest);
  std::vector<T> values(size);
  for (T& value : values) value = narrow<T>(static_cast<float>(number(random)));
  return values;
}

struct Shape {
  int m, n, k, batch;
};

constexpr int kPad = 3;  // rows that stand between the columns and are not the matrix's

template <class In, class Out>
void expect_exact(const Shape& shape, bool transpose_a, bool transpose_b, float alpha, float beta) {
  SCOPED_TRACE(testing::Message() << shape.m << " x " << shape.n << " x " << shape.k << ", batch " << shape.batch
                                  << ", " << transpose_a << transpose_b << ", alpha " << alpha << ", beta " << beta);
  std::mt19937 random(7);
  const int rows_a = transpose_a ? shape.k : shape.m, columns_a = transpose_a ? shape.m : shape.k;
  const int rows_b = transpose_b ? shape.n : shape.k, columns_b = transpose_b ? shape.k : shape.n;
  const int lda = rows_a + kPad, ldb = rows_b + kPad, ldc = shape.m + kPad;
  const auto size = [&shape](int ld, int columns) { return static_cast<size_t>(ld * columns * shape.batch); };
  const std::vector<In> a = whole_numbers<In>(size(lda, columns_a), 2, random);
  const std::vector<In> b = whole_numbers<In>(size(ldb, columns_b), 2, random);
  const std::vector<Out> c = whole_numbers<Out>(size(ldc, shape.n), 2, random);
  DeviceArray<In> a_device(a), b_device(b);
  DeviceArray<Out> c_device(c);
  cublasHandle_t cublas = nullptr;
  CUDA_CHECK(cublasCreate(&cublas));
  const auto op = [](bool transpose) { return transpose ? CUBLAS_OP_T : CUBLAS_OP_N; };
  if (shape.batch == 1) {
    CUDA_CHECK(cublasGemmEx(cublas, op(transpose_a), op(transpose_b), shape.m, shape.n, shape.k, &alpha,
                            a_device.data(), kType<In>, lda, b_device.data(), kType<In>, ldb, &beta, c_device.data(),
                            kType<Out>, ldc, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
  } else {
    CUDA_CHECK(cublasGemmStridedBatchedEx(cublas, op(transpose_a), op(transpose_b), shape.m, shape.n, shape.k, &alpha,
                                          a_device.data(), kType<In>, lda, lda * columns_a, b_device.data(), kType<In>,
                                          ldb, ldb * columns_b, &beta, c_device.data(), kType<Out>, ldc, ldc * shape.n,
                                          shape.batch, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
  }
  CUDA_CHECK(cublasDestroy(cublas));

  const std::vector<Out> result = c_device.values();
  for (int batch = 0; batch < shape.batch; ++batch) {
    for (int column = 0; column < shape.n; ++column) {
      for (int row = 0; row < ldc; ++row) {
        const auto at = static_cast<size_t>((batch * shape.n + column) * ldc + row);
        float expected = to_float(c[at]);
        if (row < shape.m) {
          float sum = 0.0f;
          for (int k = 0; k < shape.k; ++k) {
            const int a_at = batch * lda * columns_a + (transpose_a ? row * lda + k : k * lda + row);
            const int b_at = batch * ldb * columns_b + (transpose_b ? k * ldb + column : column * ldb + k);
            sum += to_float(a[static_cast<size_t>(a_at)]) * to_float(b[static_cast<size_t>(b_at)]);
          }
          expected = to_float(narrow<Out>(alpha * sum + beta * expected));
        }
        ASSERT_EQ(to_float(result[at]), expected) << "row " << row << ", column " << column << ", batch " << batch;
      }
    }
  }
}

template <class In, class Out>
void expect_exact_everywhere() {
  for (const Shape& shape : {Shape{1, 1, 1, 1}, Shape{31, 1, 33, 1}, Shape{1, 65, 7, 1}, Shape{13, 17, 65, 1},
                             Shape{33, 31, 2, 3}, Shape{5, 3, 0, 1}, Shape{0, 3, 4, 1}}) {
    for (const bool transpose_a : {false, true}) {
      for (const bool transpose_b : {false, true}) {
        expect_exact<In, Out>(shape, transpose_a, transpose_b, 1.0f, 0.0f);
        expect_exact<In, Out>(shape, transpose_a, transpose_b, -2.0f, 0.5f);
      }
    }
  }
}

TEST(Cublas, ProductsAreExact) {
  expect_exact_everywhere<float, float>();
  expect_exact_everywhere<__nv_bfloat16, float>();
  expect_exact_everywhere<__nv_bfloat16, __nv_bfloat16>();
  expect_exact_everywhere<__half, float>();
  expect_exact_everywhere<__half, __half>();
}

TEST(Cublas, TheResultIsNotReadWhereBetaIsZero) {
  DeviceArray<float> a(std::vector<float>{2.0f}), b(std::vector<float>{3.0f}), c(1);  // c is NaN
  cublasHandle_t cublas = nullptr;
  CUDA_CHECK(cublasCreate(&cublas));
  const float alpha = 1.0f, beta = 0.0f;
  CUDA_CHECK(cublasGemmEx(cublas, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &alpha, a.data(), CUDA_R_32F, 1, b.data(),
                          CUDA_R_32F, 1, &beta, c.data(), CUDA_R_32F, 1, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
  EXPECT_EQ(c.values()[0], 6.0f);
  CUDA_CHECK(cublasDestroy(cublas));
}

TEST(Cublas, RefusesWhatItCanNotDo) {
  DeviceArray<float> x(64);
  cublasHandle_t cublas = nullptr;
  CUDA_CHECK(cublasCreate(&cublas));
  const float one = 1.0f;
  const auto status = [&](cublasOperation_t op_a, int lda, int ldb, int ldc, cudaDataType a_type, cudaDataType c_type) {
    return cublasGemmEx(cublas, op_a, CUBLAS_OP_N, 4, 2, 3, &one, x.data(), a_type, lda, x.data(), CUDA_R_16BF, ldb,
                        &one, x.data(), c_type, ldc, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
  };
  EXPECT_EQ(status(CUBLAS_OP_N, 4, 3, 4, CUDA_R_16BF, CUDA_R_32F), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(status(CUBLAS_OP_T, 3, 3, 4, CUDA_R_16BF, CUDA_R_32F), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(status(CUBLAS_OP_N, 3, 3, 4, CUDA_R_16BF, CUDA_R_32F), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(status(CUBLAS_OP_T, 2, 3, 4, CUDA_R_16BF, CUDA_R_32F), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(status(CUBLAS_OP_N, 4, 2, 4, CUDA_R_16BF, CUDA_R_32F), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(status(CUBLAS_OP_N, 4, 3, 3, CUDA_R_16BF, CUDA_R_32F), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(status(CUBLAS_OP_N, 4, 3, 4, CUDA_R_16F, CUDA_R_32F), CUBLAS_STATUS_NOT_SUPPORTED);
  EXPECT_EQ(status(CUBLAS_OP_N, 4, 3, 4, CUDA_R_16BF, CUDA_R_16F), CUBLAS_STATUS_NOT_SUPPORTED);
  CUDA_CHECK(cublasDestroy(cublas));
}

}  // namespace
}  // namespace llm::simt
