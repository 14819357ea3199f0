#include <algorithm>
#include <type_traits>

#include "common/cuda/context.h"
#include "common/cuda/launch.h"
#include "common/cuda/memory.h"
#include "common/ops/few_rows_kernel.cuh"
#include "common/ops/few_rows_tensor_kernel.cuh"
#include "common/ops/gpu_ops.h"
#include "common/ops/matmul_kernel.cuh"

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

// Whether x is a few tokens and its rows and the weight's begin at multiples of 16 bytes, as the kernels for them want.
bool has_few_rows(TensorView x, const Matrix& weight) {
  return 1 <= x.dim(0) && x.dim(0) <= kMaxFewRows &&
         weight.in_features * static_cast<int64_t>(size_of(x.dtype)) % 16 == 0;
}

template <class T>
FewRows<T> few_rows(TensorView x) {
  return {numbers<T>(x), static_cast<int>(x.dim(0)), static_cast<int>(x.dim(1))};
}

// f32: calls run with as many rows as are enough, a constant, and with the launch's shape, in which a thread takes one
// pack where a block may have so many. Four rows take no longer than two.
template <class Run>
void with_few_rows(TensorView x, const Matrix& weight, Run run) {
  const unsigned warps = ceil_div(weight.in_features, kPackSize<float> * kWarpSize);
  const unsigned threads = std::min(warps * kWarpSize, unsigned{kFewRowsMaxThreads});
  const auto run_with = [&](auto rows) {
    run(rows, LaunchConfig{dim3(ceil_div(weight.out_features, kFewRowsOutputs)), dim3(threads),
                           sizeof(FewRowsStorage<rows()>), stream()});
  };
  if (x.dim(0) == 1) return run_with(std::integral_constant<int, 1>());
  if (x.dim(0) <= 4) return run_with(std::integral_constant<int, 4>());
  run_with(std::integral_constant<int, kMaxFewRows>());
}

// bf16: with kTileOutputs rows of the weight in a block. As few blocks as a large GPU has multiprocessors, 128 or less,
// have one each to themselves, and more warps to fill it.
LaunchConfig tile_config(const Matrix& weight) {
  const unsigned blocks = ceil_div(weight.out_features, kTileOutputs), most = blocks > 128 ? 8 : kTileMaxWarps;
  const unsigned warps = ceil_div(weight.in_features, kTileSteps * kTileStepPacks * int64_t{kPackSize<__nv_bfloat16>});
  return {dim3(blocks), dim3(std::min(warps, most) * kWarpSize), sizeof(FewRowsTileStorage), stream()};
}

void matmul_few_rows(TensorView x, const Matrix& weight, TensorView bias, TensorView out) {
  const int out_features = static_cast<int>(weight.out_features);
  if (x.dtype == DType::bf16) {
    using T = __nv_bfloat16;
    return launch<few_rows_tensor_kernel>(tile_config(weight), numbers<T>(weight.data), few_rows<T>(x),
                                          numbers<float>(bias), out_features, numbers<float>(out));
  }
  with_few_rows(x, weight, [&](auto rows, const LaunchConfig& config) {
    launch<few_rows_kernel<rows()>>(config, numbers<float>(weight.data), few_rows<float>(x), numbers<float>(bias),
                                    out_features, numbers<float>(out));
  });
}

void swiglu_few_rows(TensorView x, const Matrix& weight, TensorView out) {
  const int width = static_cast<int>(out.dim(1));
  if (x.dtype == DType::bf16) {
    using T = __nv_bfloat16;
    return launch<swiglu_few_rows_tensor_kernel>(tile_config(weight), numbers<T>(weight.data), few_rows<T>(x), width,
                                                 numbers<T>(out));
  }
  with_few_rows(x, weight, [&](auto rows, const LaunchConfig& config) {
    launch<swiglu_few_rows_kernel<rows()>>(config, numbers<float>(weight.data), few_rows<float>(x), width,
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
  if (has_few_rows(x, weight)) return matmul_few_rows(x, weight, bias, out);
  matmul_by_cublas(x, weight, bias, out);
}

void swiglu_matmul(TensorView x, const Matrix& weight, TensorView gate_up, TensorView out) {
  if (has_few_rows(x, weight)) return swiglu_few_rows(x, weight, out);
  matmul(x, weight, {}, gate_up);
  swiglu(gate_up, out);
}

}  // namespace llm::LLM_GPU
