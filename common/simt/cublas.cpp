#include "common/simt/cublas.h"

#include <algorithm>
#include <vector>

#include "common/simt/traffic.h"
#include "common/simt/types.h"

namespace llm::simt {

struct cublasContext {
  cudaStream_t stream = nullptr;
};

const char* cublasGetStatusString(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "the operation completed successfully";
    case CUBLAS_STATUS_NOT_INITIALIZED:
      return "the library was not initialized";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "an unsupported value or parameter was passed to the function";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "the functionality requested is not supported";
  }
  return "unknown status";
}

cublasStatus_t cublasCreate(cublasHandle_t* handle) {
  *handle = new cublasContext;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy(cublasHandle_t handle) {
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetMathMode(cublasHandle_t, cublasMath_t) { return CUBLAS_STATUS_SUCCESS; }
cublasStatus_t cublasSetWorkspace(cublasHandle_t, void*, size_t) { return CUBLAS_STATUS_SUCCESS; }

namespace {

constexpr int64_t kWorthThreads = 1 << 20;  // operations: fewer are done before other threads have begun

// A matrix as it stands in memory: column-major, `ld` numbers from a column to the next.
struct Operand {
  const void* data;
  cudaDataType type;
  int64_t ld;
};

float number_at(const Operand& matrix, int64_t index) {
  switch (matrix.type) {
    case CUDA_R_32F:
      return static_cast<const float*>(matrix.data)[index];
    case CUDA_R_16F:
      return to_float(static_cast<const __half*>(matrix.data)[index]);
    case CUDA_R_16BF:
      return to_float(static_cast<const __nv_bfloat16*>(matrix.data)[index]);
  }
  return 0.0f;
}

void set_number(void* data, cudaDataType type, int64_t index, float value) {
  switch (type) {
    case CUDA_R_32F:
      static_cast<float*>(data)[index] = value;
      break;
    case CUDA_R_16F:
      static_cast<__half*>(data)[index] = __float2half(value);
      break;
    case CUDA_R_16BF:
      static_cast<__nv_bfloat16*>(data)[index] = to_bf16(value);
      break;
  }
}

size_t size_of_number(cudaDataType type) { return type == CUDA_R_32F ? 4 : 2; }

// [columns, rows] in f32: column after column of the matrix, or of its transpose.
std::vector<float> columns_of(const Operand& matrix, bool transposed, int64_t rows, int64_t columns) {
  std::vector<float> packed(static_cast<size_t>(rows * columns));
#pragma omp parallel for if (rows * columns > kWorthThreads)
  for (int64_t column = 0; column < columns; ++column) {
    for (int64_t row = 0; row < rows; ++row) {
      const int64_t index = transposed ? row * matrix.ld + column : column * matrix.ld + row;
      packed[static_cast<size_t>(column * rows + row)] = number_at(matrix, index);
    }
  }
  return packed;
}

struct Gemm {
  bool transpose_a, transpose_b;
  int64_t m, n, k;
  float alpha, beta;
  Operand a, b;
  void* c;
  cudaDataType c_type;
  int64_t ldc;
};

// Each number of C is one sum over k from the first to the last.
void multiply(const Gemm& g) {
  const std::vector<float> a = columns_of(g.a, g.transpose_a, g.m, g.k);  // [k, m]
  const std::vector<float> b = columns_of(g.b, g.transpose_b, g.k, g.n);  // [n, k]
#pragma omp parallel for if (g.m * g.n * g.k > kWorthThreads)
  for (int64_t column = 0; column < g.n; ++column) {
    std::vector<float> sums(static_cast<size_t>(g.m));
    for (int64_t i = 0; i < g.k; ++i) {
      const float factor = b[static_cast<size_t>(column * g.k + i)];
      const float* const a_column = a.data() + i * g.m;
      for (int64_t row = 0; row < g.m; ++row) sums[static_cast<size_t>(row)] += a_column[row] * factor;
    }
    for (int64_t row = 0; row < g.m; ++row) {
      const int64_t index = column * g.ldc + row;
      float value = g.alpha * sums[static_cast<size_t>(row)];
      if (g.beta != 0.0f) value += g.beta * number_at({g.c, g.c_type, g.ldc}, index);
      set_number(g.c, g.c_type, index, value);
    }
  }
}

cublasStatus_t check(const Gemm& g) {
  if (g.m < 0 || g.n < 0 || g.k < 0) return CUBLAS_STATUS_INVALID_VALUE;
  const int64_t rows_a = g.transpose_a ? g.k : g.m, rows_b = g.transpose_b ? g.n : g.k;
  if (g.a.ld < std::max<int64_t>(rows_a, 1) || g.b.ld < std::max<int64_t>(rows_b, 1) ||
      g.ldc < std::max<int64_t>(g.m, 1)) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  const bool types_fit = g.a.type == g.b.type && (g.c_type == g.a.type || g.c_type == CUDA_R_32F);
  return types_fit ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

uint64_t bytes_of_c(const Gemm& g) { return static_cast<uint64_t>(g.m * g.n) * size_of_number(g.c_type); }

uint64_t bytes_read(const Gemm& g) {
  const uint64_t operands = static_cast<uint64_t>(g.m * g.k + g.k * g.n) * size_of_number(g.a.type);
  return g.beta == 0.0f ? operands : operands + bytes_of_c(g);
}

// A matrix's address `count` numbers on.
template <class Pointer>
Pointer advance(Pointer data, cudaDataType type, long long count) {
  using Byte = std::conditional_t<std::is_same_v<Pointer, void*>, char, const char>;
  return static_cast<Byte*>(data) + count * static_cast<long long>(size_of_number(type));
}

}  // namespace

cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, int m,
                                          int n, int k, const void* alpha, const void* a, cudaDataType a_type, int lda,
                                          long long stride_a, const void* b, cudaDataType b_type, int ldb,
                                          long long stride_b, const void* beta, void* c, cudaDataType c_type, int ldc,
                                          long long stride_c, int batch_count, cublasComputeType_t, cublasGemmAlgo_t) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  const Gemm first{op_a == CUBLAS_OP_T,
                   op_b == CUBLAS_OP_T,
                   m,
                   n,
                   k,
                   *static_cast<const float*>(alpha),
                   *static_cast<const float*>(beta),
                   {a, a_type, lda},
                   {b, b_type, ldb},
                   c,
                   c_type,
                   ldc};
  if (batch_count < 0) return CUBLAS_STATUS_INVALID_VALUE;
  if (const cublasStatus_t status = check(first); status != CUBLAS_STATUS_SUCCESS) return status;
  do_on_stream(handle->stream, [=] {
    count_product("cublasGemmEx", bytes_read(first) * static_cast<uint64_t>(batch_count),
                  bytes_of_c(first) * static_cast<uint64_t>(batch_count));
    for (long long i = 0; i < batch_count; ++i) {
      Gemm gemm = first;
      gemm.a.data = advance(a, a_type, i * stride_a);
      gemm.b.data = advance(b, b_type, i * stride_b);
      gemm.c = advance(c, c_type, i * stride_c);
      multiply(gemm);
    }
  });
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, int m, int n, int k,
                            const void* alpha, const void* a, cudaDataType a_type, int lda, const void* b,
                            cudaDataType b_type, int ldb, const void* beta, void* c, cudaDataType c_type, int ldc,
                            cublasComputeType_t compute, cublasGemmAlgo_t algorithm) {
  return cublasGemmStridedBatchedEx(handle, op_a, op_b, m, n, k, alpha, a, a_type, lda, 0, b, b_type, ldb, 0, beta, c,
                                    c_type, ldc, 0, 1, compute, algorithm);
}

}  // namespace llm::simt
