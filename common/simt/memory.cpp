#include "common/simt/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>

#include "common/simt/poison.h"

namespace llm::simt {

namespace {

constexpr size_t kAlignment = 256;  // cudaMalloc's own

#if defined(__SANITIZE_ADDRESS__)

// Of just the size asked for, between zones that AddressSanitizer watches.
struct Pages {
  AddressRange range;

  void* take(size_t bytes) {
    void* memory = nullptr;
    return posix_memalign(&memory, kAlignment, bytes) == 0 ? memory : nullptr;
  }
  void give_back(void* memory, size_t) { std::free(memory); }
};

#else

constexpr size_t kReserved = size_t{1} << 42;  // 4 TB of addresses; pages are made when they are touched

// Every allocation has pages of its own at addresses that were never used before.
struct Pages {
  AddressRange range;
  size_t used = 0;
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));

  Pages() {
    void* memory = mmap(nullptr, kReserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
      throw std::runtime_error("no range of addresses is free for the simulated device's memory");
    range = {reinterpret_cast<uintptr_t>(memory), kReserved};
  }

  size_t rounded(size_t bytes) const { return (bytes + page - 1) / page * page; }

  void* take(size_t bytes) {
    if (rounded(bytes) > range.size - used) return nullptr;
    void* memory = reinterpret_cast<void*>(range.begin + used);
    if (mprotect(memory, rounded(bytes), PROT_READ | PROT_WRITE) != 0) return nullptr;
    used += rounded(bytes);
    return memory;
  }

  void give_back(void* memory, size_t bytes) {
    mmap(memory, rounded(bytes), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  }
};

#endif

// Bytes of the host's memory that programs can still have, which the kernel estimates; 0 where it does not.
size_t host_bytes_available() {
  std::ifstream file("/proc/meminfo");
  for (std::string key; file >> key;) {
    size_t kilobytes = 0;
    if (key == "MemAvailable:" && file >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

class DeviceMemory {
 public:
  void* allocate(size_t bytes) {
    if (bytes > host_bytes_available()) return nullptr;
    const std::lock_guard lock(mutex_);
    void* const memory = pages_.take(bytes);
    if (memory == nullptr) return nullptr;
    poison(memory, bytes);
    sizes_[memory] = bytes;
    use_.now += bytes;
    use_.peak = std::max(use_.peak, use_.now);
    return memory;
  }

  bool free(void* memory) {
    const std::lock_guard lock(mutex_);
    const auto found = sizes_.find(memory);
    if (found == sizes_.end()) return false;
    pages_.give_back(memory, found->second);
    use_.now -= found->second;
    sizes_.erase(found);
    return true;
  }

  // Whether these bytes lie within one allocation.
  bool holds(const void* memory, size_t bytes) {
    const std::lock_guard lock(mutex_);
    auto next = sizes_.upper_bound(memory);
    if (next == sizes_.begin()) return false;
    const auto& [begin, size] = *--next;
    const size_t offset = static_cast<size_t>(static_cast<const char*>(memory) - static_cast<const char*>(begin));
    return offset <= size && bytes <= size - offset;
  }

  AddressRange range() const { return pages_.range; }

  MemoryUse use() {
    const std::lock_guard lock(mutex_);
    return use_;
  }
  void forget_peak() {
    const std::lock_guard lock(mutex_);
    use_.peak = use_.now;
  }

 private:
  std::mutex mutex_;
  Pages pages_;
  std::map<const void*, size_t> sizes_;
  MemoryUse use_;
};

// Lives until the process ends: tensors that are static may outlive any other object.
DeviceMemory& device_memory() {
  static DeviceMemory* const instance = new DeviceMemory;
  return *instance;
}

bool sides_fit(const void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  return (!to_device || device_memory().holds(to, bytes)) && (!from_device || device_memory().holds(from, bytes));
}

}  // namespace

cudaError_t cudaMalloc(void** memory, size_t bytes) {
  if (refused_in_capture()) return cudaErrorStreamCaptureUnsupported;
  *memory = bytes == 0 ? nullptr : device_memory().allocate(bytes);
  return *memory == nullptr && bytes > 0 ? cudaErrorMemoryAllocation : cudaSuccess;
}

cudaError_t cudaFree(void* memory) {
  if (refused_in_capture()) return cudaErrorStreamCaptureUnsupported;
  return memory == nullptr || device_memory().free(memory) ? cudaSuccess : cudaErrorInvalidValue;
}

// What is freed in the stream's order is freed when the work before it is done.
cudaError_t cudaMallocAsync(void** memory, size_t bytes, cudaStream_t) { return cudaMalloc(memory, bytes); }
cudaError_t cudaFreeAsync(void* memory, cudaStream_t stream) {
  if (refused_in_capture()) return cudaErrorStreamCaptureUnsupported;
  if (memory != nullptr && !device_memory().holds(memory, 1)) return cudaErrorInvalidValue;
  do_on_stream(stream, [=] { cudaFree(memory); });
  return cudaSuccess;
}

cudaError_t cudaMallocHost(void** memory, size_t bytes) {
  if (refused_in_capture()) return cudaErrorStreamCaptureUnsupported;
  return posix_memalign(memory, kAlignment, bytes) == 0 ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaFreeHost(void* memory) {
  if (refused_in_capture()) return cudaErrorStreamCaptureUnsupported;
  std::free(memory);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  if (bytes == 0) return cudaSuccess;
  if (!sides_fit(to, from, bytes, kind)) return cudaErrorInvalidValue;
  do_on_stream(stream, [=] { std::memmove(to, from, bytes); });
  return cudaSuccess;
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  if (refused_in_capture()) return cudaErrorStreamCaptureUnsupported;
  const cudaError_t given = cudaMemcpyAsync(to, from, bytes, kind);
  return given == cudaSuccess ? cudaDeviceSynchronize() : given;
}

cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t stream) {
  if (bytes == 0) return cudaSuccess;
  if (!device_memory().holds(memory, bytes)) return cudaErrorInvalidValue;
  do_on_stream(stream, [=] { std::memset(memory, value, bytes); });
  return cudaSuccess;
}

cudaError_t cudaMemset(void* memory, int value, size_t bytes) {
  if (refused_in_capture()) return cudaErrorStreamCaptureUnsupported;
  return cudaMemsetAsync(memory, value, bytes);
}

cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total_bytes) {
  *free_bytes = host_bytes_available();
  *total_bytes = static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return cudaSuccess;
}

MemoryUse memory_use() { return device_memory().use(); }
void forget_peak() { device_memory().forget_peak(); }

AddressRange device_addresses() { return device_memory().range(); }

}  // namespace llm::simt
