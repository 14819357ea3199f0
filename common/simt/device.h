// The device that the simulator pretends to be, and the runtime's error codes.
#pragma once

#include <cstddef>

namespace llm::simt {

// With the numbers they have in CUDA.
enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInvalidDevice = 101,
  cudaErrorInvalidResourceHandle = 400,
  cudaErrorIllegalState = 401,
  cudaErrorStreamCaptureUnsupported = 900,
  cudaErrorStreamCaptureInvalidated = 901,
};

const char* cudaGetErrorString(cudaError_t error);

// Every error is told by the call that made it; none is kept.
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline cudaError_t cudaPeekAtLastError() { return cudaSuccess; }

struct cudaDeviceProp {
  char name[256];
  int major, minor;
  int multiProcessorCount, warpSize, maxThreadsPerBlock, maxThreadsPerMultiProcessor;
  size_t totalGlobalMem, sharedMemPerBlock, sharedMemPerBlockOptin;
  int l2CacheSize;
};

cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaGetDevice(int* device);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);

}  // namespace llm::simt
