// Every call of the CUDA runtime and of cuBLAS is checked: CUDA_CHECK(cudaMemcpy(...)).
#pragma once

#include "common/cuda/runtime.h"

namespace llm::LLM_GPU {

// Throws a GpuError that names file, line and call.
[[noreturn]] void fail_call(const char* file, int line, const char* call, const char* reason);

inline void check(cudaError_t status, const char* file, int line, const char* call) {
  if (status != cudaSuccess) fail_call(file, line, call, cudaGetErrorString(status));
}

inline void check(cublasStatus_t status, const char* file, int line, const char* call) {
  if (status != CUBLAS_STATUS_SUCCESS) fail_call(file, line, call, cublasGetStatusString(status));
}

}  // namespace llm::LLM_GPU

#define CUDA_CHECK(call) ::llm::LLM_GPU::check((call), __FILE__, __LINE__, #call)
