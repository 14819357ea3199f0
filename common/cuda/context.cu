#include "common/cuda/context.h"

#include "common/cuda/memory.h"
#include "common/error.h"

namespace llm::LLM_GPU {

void fail_call(const char* file, int line, const char* call, const char* reason) {
  throw std::runtime_error(fmt::format("{}:{}: {}: {}", file, line, call, reason));
}

namespace {

struct Context {
  cudaStream_t stream = nullptr;
  cublasHandle_t cublas = nullptr;
  void* cublas_workspace = nullptr;

  Context() {
    require_device();
    CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
#if !defined(LLM_SIMT)
    // The pool keeps what is given back: an allocation from it costs no call to the driver.
    cudaMemPool_t pool = nullptr;
    CUDA_CHECK(cudaDeviceGetDefaultMemPool(&pool, 0));
    uint64_t keep_all = UINT64_MAX;
    CUDA_CHECK(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep_all));
#endif
    CUDA_CHECK(cublasCreate(&cublas));
    CUDA_CHECK(cublasSetStream(cublas, stream));
    // A captured graph must find cuBLAS's scratch where it was. 32 MiB is what its manual recommends for Hopper.
    constexpr size_t kWorkspaceBytes = size_t{32} << 20;
    CUDA_CHECK(cudaMalloc(&cublas_workspace, kWorkspaceBytes));
    CUDA_CHECK(cublasSetWorkspace(cublas, cublas_workspace, kWorkspaceBytes));
  }
};

// Lives until the process ends: the driver takes everything back then, in an order of its own.
Context& context() {
  static Context* const instance = new Context;
  return *instance;
}

}  // namespace

cudaStream_t stream() { return context().stream; }
cublasHandle_t cublas() { return context().cublas; }

int num_multiprocessors() {
  static const int count = [] {
    cudaDeviceProp properties;
    CUDA_CHECK(cudaGetDeviceProperties(&properties, 0));
    return properties.multiProcessorCount;
  }();
  return count;
}

}  // namespace llm::LLM_GPU
