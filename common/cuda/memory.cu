#include "common/cuda/memory.h"

#include <algorithm>

#include "common/cuda/context.h"
#include "common/cuda/launch.h"
#include "common/cuda/ptx.cuh"
#include "common/error.h"

namespace llm::LLM_GPU {

#if !defined(LLM_SIMT)
__global__ void probe_kernel() {}
#endif

void require_device() {
#if !defined(LLM_SIMT)
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess || count == 0) {
    cudaGetLastError();  // forget it: the sentence below is all that is said
    fail_input(
        "--device cuda needs an NVIDIA GPU and its driver, but there is none here ({}); run with --device simt "
        "or --device cpu",
        status == cudaSuccess ? "no device" : cudaGetErrorString(status));
  }
  // A kernel that was not compiled for this GPU, and has no PTX that its driver could compile, has no attributes.
  cudaFuncAttributes attributes;
  if (cudaFuncGetAttributes(&attributes, reinterpret_cast<const void*>(probe_kernel)) != cudaSuccess) {
    cudaGetLastError();
    cudaDeviceProp properties;
    CUDA_CHECK(cudaGetDeviceProperties(&properties, 0));
    fail_input(
        "this build has no code for the GPU {} (compute capability {}.{}); configure with "
        "-DCMAKE_CUDA_ARCHITECTURES={}{} and build again",
        properties.name, properties.major, properties.minor, properties.major, properties.minor);
  }
#endif
}

std::shared_ptr<void> allocate(size_t bytes) {
  cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
  CUDA_CHECK(cudaStreamIsCapturing(stream(), &capture));
  require(capture == cudaStreamCaptureStatusNone, "{} bytes taken while a graph is recorded", bytes);
  void* memory = nullptr;
  const cudaError_t status = cudaMallocAsync(&memory, std::max<size_t>(bytes, 1), stream());
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    size_t free_bytes = 0, total_bytes = 0;
    CUDA_CHECK(cudaMemGetInfo(&free_bytes, &total_bytes));
    fail_input(
        "the GPU has {} bytes of memory free of {}, but {} more are needed; take a smaller model, --dtype bf16 "
        "or a shorter context",
        free_bytes, total_bytes, bytes);
  }
  CUDA_CHECK(status);
  return {memory, [](void* p) { cudaFreeAsync(p, stream()); }};
}

std::shared_ptr<void> allocate_pinned(size_t bytes) {
  void* memory = nullptr;
  CUDA_CHECK(cudaMallocHost(&memory, std::max<size_t>(bytes, 1)));
  return {memory, [](void* p) { cudaFreeHost(p); }};
}

void copy_to_device(void* to, const void* from, size_t bytes) {
  if (bytes > 0) CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream()));
}

struct WordLists {
  WordList lists[kMaxWordLists];
};

// Grid (blocks, lists).
__global__ void copy_lists_kernel(WordLists all) {
  wait_for_earlier_kernels();  // which may still read what these lists replace
  const WordList list = all.lists[blockIdx.y];
  const int stride = static_cast<int>(gridDim.x * blockDim.x);
  for (int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x); i < list.count; i += stride) {
    list.to[i] = list.from[i];
  }
}

void copy_lists_to_device(std::span<const WordList> lists) {
  require(lists.size() <= kMaxWordLists, "{} lists copied at once", lists.size());
  WordLists all{};
  std::copy(lists.begin(), lists.end(), all.lists);
  int longest = 0;
  for (const WordList& list : lists) longest = std::max(longest, list.count);
  constexpr int kThreads = 256, kMaxBlocks = 16;
  const int blocks = std::min((longest + kThreads - 1) / kThreads, kMaxBlocks);
  launch<copy_lists_kernel>(
      {dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(lists.size())), dim3(kThreads), 0, stream()}, all);
}

void copy_on_device(void* to, const void* from, size_t bytes) {
  if (bytes > 0) CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream()));
}

void copy_to_host(void* to, const void* from, size_t bytes) {
  if (bytes > 0) CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream()));
  synchronize();
}

void synchronize() { CUDA_CHECK(cudaStreamSynchronize(stream())); }

std::function<void()> record_graph(const std::function<void()>& work) {
  cudaGraph_t graph = nullptr;
  CUDA_CHECK(cudaStreamBeginCapture(stream(), cudaStreamCaptureModeThreadLocal));
  work();
  CUDA_CHECK(cudaStreamEndCapture(stream(), &graph));
  cudaGraphExec_t executable = nullptr;
  CUDA_CHECK(cudaGraphInstantiate(&executable, graph, 0));
  CUDA_CHECK(cudaGraphDestroy(graph));
  const std::shared_ptr<CUgraphExec_st> owner(executable, [](cudaGraphExec_t e) { cudaGraphExecDestroy(e); });
  return [owner] { CUDA_CHECK(cudaGraphLaunch(owner.get(), stream())); };
}

}  // namespace llm::LLM_GPU
