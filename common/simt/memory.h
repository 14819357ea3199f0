// Device memory. It stands in the host's, but in a range of addresses of its own, so that an access to it is known by
// its address; what has been freed faults when it is touched. Under AddressSanitizer it is the heap's, which finds
// more.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/simt/device.h"
#include "common/simt/stream.h"

namespace llm::simt {

// At a multiple of 256 bytes, filled with NaNs.
cudaError_t cudaMalloc(void** memory, size_t bytes);
cudaError_t cudaFree(void* memory);
cudaError_t cudaMallocAsync(void** memory, size_t bytes, cudaStream_t stream);
cudaError_t cudaFreeAsync(void* memory, cudaStream_t stream);
template <class T>
cudaError_t cudaMalloc(T** memory, size_t bytes) {
  return cudaMalloc(reinterpret_cast<void**>(memory), bytes);
}

// Of the host.
cudaError_t cudaMallocHost(void** memory, size_t bytes);
cudaError_t cudaFreeHost(void* memory);
template <class T>
cudaError_t cudaMallocHost(T** memory, size_t bytes) {
  return cudaMallocHost(reinterpret_cast<void**>(memory), bytes);
}

enum cudaMemcpyKind {
  cudaMemcpyHostToHost = 0,
  cudaMemcpyHostToDevice = 1,
  cudaMemcpyDeviceToHost = 2,
  cudaMemcpyDeviceToDevice = 3,
  cudaMemcpyDefault = 4,
};

// The device's side of a copy must lie within what was allocated.
cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind);
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream = nullptr);
cudaError_t cudaMemset(void* memory, int value, size_t bytes);
cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t stream = nullptr);

cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total_bytes);

// Bytes allocated now, and the most that were at once since the last forget_peak().
struct MemoryUse {
  size_t now = 0, peak = 0;
};
MemoryUse memory_use();
void forget_peak();

// The addresses that device memory may have: begin is null where there is no such range.
struct AddressRange {
  uintptr_t begin = 0;
  size_t size = 0;

  bool contains(uintptr_t address) const { return address - begin < size; }
};
AddressRange device_addresses();

}  // namespace llm::simt
