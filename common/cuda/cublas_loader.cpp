// The functions of cuBLAS that we call, each found in its library when it is first called. To load that library takes a
// tenth of a second, which a program that runs on the CPU should not pay; nor need it be there for such a program.
#include <cublas_v2.h>
#include <dlfcn.h>

#include "common/error.h"

namespace llm {
namespace {

void* cublas_library() {
  static void* const library = [] {
    const std::string name = fmt::format("libcublas.so.{}", CUBLAS_VER_MAJOR);
    void* const loaded = dlopen(name.c_str(), RTLD_LAZY | RTLD_LOCAL);
    if (loaded == nullptr) {
      fail_input("cuBLAS can't be loaded: {}; install the CUDA toolkit {}, or run with --device cpu", dlerror(),
                 CUBLAS_VER_MAJOR);
    }
    return loaded;
  }();
  return library;
}

void* find(const char* name) {
  void* const function = dlsym(cublas_library(), name);
  require(function != nullptr, "cuBLAS has no function {}", name);
  return function;
}

template <class... Args>
cublasStatus_t call(void* function, Args... args) {
  return reinterpret_cast<cublasStatus_t (*)(Args...)>(function)(args...);
}

}  // namespace
}  // namespace llm

extern "C" {

cublasStatus_t cublasCreate_v2(cublasHandle_t* handle) {
  static void* const function = llm::find("cublasCreate_v2");
  return llm::call(function, handle);
}

cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
  static void* const function = llm::find("cublasSetStream_v2");
  return llm::call(function, handle, stream);
}

cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void* workspace, size_t bytes) {
  static void* const function = llm::find("cublasSetWorkspace_v2");
  return llm::call(function, handle, workspace, bytes);
}

const char* cublasGetStatusString(cublasStatus_t status) {
  static void* const function = llm::find("cublasGetStatusString");
  return reinterpret_cast<const char* (*)(cublasStatus_t)>(function)(status);
}

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, int m, int n, int k,
                            const void* alpha, const void* a, cudaDataType a_type, int lda, const void* b,
                            cudaDataType b_type, int ldb, const void* beta, void* c, cudaDataType c_type, int ldc,
                            cublasComputeType_t compute_type, cublasGemmAlgo_t algorithm) {
  static void* const function = llm::find("cublasGemmEx");
  return llm::call(function, handle, op_a, op_b, m, n, k, alpha, a, a_type, lda, b, b_type, ldb, beta, c, c_type, ldc,
                   compute_type, algorithm);
}

}  // extern "C"
