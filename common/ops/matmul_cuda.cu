#include <algorithm>

#include "common/cuda/context.h"
#include "common/cuda/launch.h"
#include "common/cuda/memory.h"
#include "common/ops/gpu_ops.h"
#include "common/ops/matmul_kernel.cuh"
#include "common/ops/matvec_kernel.cuh"

namespace llm::LLM_GPU {

namespace {

constexpr int kThreads = 256;

void convert(TensorView from, TensorView to) {
  with_weight_type(from.dtype, [&](auto from_type) {
    with_type(to.dtype, [&](auto to_type) {
      using From = decltype(from_type);
      using To = decltype(to_type);
      const unsigned blocks = std::min(ceil_div(from.numel(), kThreads), 65535u);
      launch<convert_kernel<From, To>>({dim3(blocks), dim3(kThreads), 0, stream()}, numbers<From>(from), from.numel(),
                                       numbers<To>(to));
    });
  });
}

// cuBLAS thinks in columns: its [in_features, rows] is our [rows, in_features], so that it computes
// outᵀ = weight · xᵀ, with the weight, which it sees transposed, turned back.
void matmul_by_cublas(TensorView x, const Matrix& weight, TensorView bias, TensorView out) {
  const int rows = static_cast<int>(x.dim(0));
  const int out_features = static_cast<int>(weight.out_features), in_features = static_cast<int>(weight.in_features);
  if (!bias.empty()) {
    launch<fill_rows_kernel>({dim3(ceil_div(out.numel(), kThreads)), dim3(kThreads), 0, stream()}, numbers<float>(bias),
                             out.numel(), out_features, numbers<float>(out));
  }
  const bool f32 = x.dtype == DType::f32;
  const cudaDataType_t type = f32 ? CUDA_R_32F : CUDA_R_16BF;
  const float alpha = 1.0f, beta = bias.empty() ? 0.0f : 1.0f;
  // PEDANTIC: f32 products stay f32 and do not become TF32.
  CUDA_CHECK(cublasGemmEx(cublas(), CUBLAS_OP_T, CUBLAS_OP_N, out_features, rows, in_features, &alpha,
                          weight.data.view().data, type, in_features, x.data, type, in_features, &beta, out.data,
                          CUDA_R_32F, out_features, f32 ? CUBLAS_COMPUTE_32F_PEDANTIC : CUBLAS_COMPUTE_32F,
                          CUBLAS_GEMM_DEFAULT));
}

// Whether x is one token and the weight's rows begin at multiples of 16 bytes, as the kernels of one row want them.
bool is_matvec(TensorView x, const Matrix& weight) {
  return x.dim(0) == 1 && weight.in_features * static_cast<int64_t>(size_of(x.dtype)) % 16 == 0;
}

// One pack a thread, where a block may have so many threads.
template <class T>
LaunchConfig matvec_config(const Matrix& weight) {
  const unsigned warps = ceil_div(weight.in_features, kPackSize<T> * kWarpSize);
  const unsigned threads = std::min(warps * kWarpSize, unsigned{kMatvecMaxThreads});
  return {dim3(ceil_div(weight.out_features, kMatvecRows)), dim3(threads), sizeof(MatvecStorage), stream()};
}

void matvec(TensorView x, const Matrix& weight, TensorView bias, TensorView out) {
  with_type(x.dtype, [&](auto type) {
    using T = decltype(type);
    launch<matvec_kernel<T>>(matvec_config<T>(weight), numbers<T>(weight.data), numbers<T>(x), numbers<float>(bias),
                             static_cast<int>(weight.out_features), static_cast<int>(weight.in_features),
                             numbers<float>(out));
  });
}

}  // namespace

Matrix make_matrix(std::span<const TensorView> parts, DType dtype) {
  int64_t rows = 0;
  for (const TensorView& part : parts) rows += part.dim(0);
  const int64_t in_features = parts.front().dim(1);
  Matrix matrix{Tensor({rows, in_features}, dtype, kThisDevice), rows, in_features};
  int64_t row = 0;
  for (const TensorView& part : parts) {
    const TensorView to = matrix.data.view().rows(row, row + part.dim(0));
    row += part.dim(0);
    if (part.device == Device::cpu) {
      const Tensor staged(part.shape, part.dtype, kThisDevice);
      copy_to_device(staged.view().data, part.data, part.nbytes());
      convert(staged, to);
    } else {
      convert(part, to);
    }
  }
  synchronize();  // the parts may go
  return matrix;
}

void matmul(TensorView x, const Matrix& weight, TensorView bias, TensorView out) {
  require(x.dtype == weight.data.view().dtype, "a product of {} with {}", name_of(x.dtype),
          name_of(weight.data.view().dtype));
  if (is_matvec(x, weight)) return matvec(x, weight, bias, out);
  matmul_by_cublas(x, weight, bias, out);
}

void swiglu_matmul(TensorView x, const Matrix& weight, TensorView gate_up, TensorView out) {
  if (!is_matvec(x, weight)) {
    matmul(x, weight, {}, gate_up);
    return swiglu(gate_up, out);
  }
  with_type(x.dtype, [&](auto type) {
    using T = decltype(type);
    launch<swiglu_matvec_kernel<T>>(matvec_config<T>(weight), numbers<T>(weight.data), numbers<T>(x),
                                    static_cast<int>(out.dim(1)), static_cast<int>(weight.in_features),
                                    numbers<T>(out));
  });
}

}  // namespace llm::LLM_GPU
