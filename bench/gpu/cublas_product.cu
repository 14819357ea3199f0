#include "bench/gpu/cublas_product.h"

#include "common/cuda/context.h"

namespace llm::LLM_GPU {

void cublas_product(TensorView x, TensorView weight, TensorView out) {
  const int rows = static_cast<int>(x.dim(0)), in_features = static_cast<int>(x.dim(1));
  const int out_features = static_cast<int>(weight.dim(0));
  const bool f32 = x.dtype == DType::f32;
  const cudaDataType_t type = f32 ? CUDA_R_32F : CUDA_R_16BF;
  const float alpha = 1.0f, beta = 0.0f;
  // cuBLAS thinks in columns: outᵀ = weight · xᵀ.
  CUDA_CHECK(cublasGemmEx(cublas(), CUBLAS_OP_T, CUBLAS_OP_N, out_features, rows, in_features, &alpha, weight.data,
                          type, in_features, x.data, type, in_features, &beta, out.data, CUDA_R_32F, out_features,
                          f32 ? CUBLAS_COMPUTE_32F_PEDANTIC : CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
}

}  // namespace llm::LLM_GPU
