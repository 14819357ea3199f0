#include "common/tensor/device_memory.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <new>

#include "common/cuda/memory.h"

namespace llm {

namespace {

constexpr size_t kHugePage = size_t{2} << 20;

// Large arrays are read front to back at every step: huge pages spare them most address translations.
std::shared_ptr<void> allocate_cpu(size_t bytes) {
  const size_t alignment = bytes >= kHugePage ? kHugePage : kMemoryAlignment;
  const size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(alignment, rounded == 0 ? alignment : rounded);
  if (memory == nullptr) throw std::bad_alloc();
  if (alignment == kHugePage) madvise(memory, rounded, MADV_HUGEPAGE);  // a hint: failure costs nothing but speed
  return {memory, std::free};
}

[[noreturn]] void fail_missing(Device device) {
  if (device == Device::cuda) {
    fail_input(
        "this build has no device cuda: install the CUDA toolkit 12.4 or later (nvcc), remove the folder build "
        "and start again, or run with --device simt or --device cpu");
  }
  fail_input(
      "this build has no device {}: install libboost-context-dev, remove the folder build and start again, or "
      "run with --device cpu",
      name_of(device));
}

// The functions of one kind of GPU, so that what follows is said once for both.
struct Gpu {
  decltype(&cuda::require_device) require_device;
  decltype(&cuda::allocate) allocate;
  decltype(&cuda::allocate_pinned) allocate_pinned;
  decltype(&cuda::copy_to_device) copy_to_device;
  decltype(&cuda::copy_on_device) copy_on_device;
  decltype(&cuda::copy_lists_to_device) copy_lists_to_device;
  decltype(&cuda::copy_to_host) copy_to_host;
  decltype(&cuda::synchronize) synchronize;
  decltype(&cuda::record_graph) record_graph;
};

const Gpu& gpu(Device device) {
#if defined(LLM_HAVE_SIMT)
  static constexpr Gpu kSimt = {simt::require_device, simt::allocate,       simt::allocate_pinned,
                                simt::copy_to_device, simt::copy_on_device, simt::copy_lists_to_device,
                                simt::copy_to_host,   simt::synchronize,    simt::record_graph};
  if (device == Device::simt) return kSimt;
#endif
#if defined(LLM_HAVE_CUDA)
  static constexpr Gpu kCuda = {cuda::require_device, cuda::allocate,       cuda::allocate_pinned,
                                cuda::copy_to_device, cuda::copy_on_device, cuda::copy_lists_to_device,
                                cuda::copy_to_host,   cuda::synchronize,    cuda::record_graph};
  if (device == Device::cuda) return kCuda;
#endif
  fail_missing(device);
}

}  // namespace

void require_device(Device device) {
  if (device != Device::cpu) gpu(device).require_device();
}

std::shared_ptr<void> allocate(Device device, size_t bytes) {
  return device == Device::cpu ? allocate_cpu(bytes) : gpu(device).allocate(bytes);
}

std::shared_ptr<void> allocate_staging(Device device, size_t bytes) {
  return device == Device::cpu ? allocate_cpu(bytes) : gpu(device).allocate_pinned(bytes);
}

void copy(TensorView from, TensorView to) {
  require(from.nbytes() == to.nbytes() && from.dtype == to.dtype, "{} {} copied to {} {}", name_of(from.dtype),
          from.shape, name_of(to.dtype), to.shape);
  if (from.device == to.device) {
    if (to.device == Device::cpu) {
      if (to.nbytes() > 0) std::memcpy(to.data, from.data, to.nbytes());
      return;
    }
    return gpu(to.device).copy_on_device(to.data, from.data, to.nbytes());
  }
  if (to.device == Device::cpu) return gpu(from.device).copy_to_host(to.data, from.data, to.nbytes());
  require(from.device == Device::cpu, "a copy from {} to {}", name_of(from.device), name_of(to.device));
  gpu(to.device).copy_to_device(to.data, from.data, to.nbytes());
}

void copy_lists(Device device, std::span<const WordList> lists) {
  if (device != Device::cpu) gpu(device).copy_lists_to_device(lists);
}

Tensor to_device(const Tensor& tensor, Device device) {
  const TensorView view = tensor;
  if (view.device == device || tensor.empty()) return tensor;
  const Tensor there(view.shape, view.dtype, device);
  copy(view, there);
  synchronize(device);  // the original may go
  return there;
}

Tensor to_host(TensorView view) {
  const Tensor here(view.shape, view.dtype);
  copy(view, here);
  return here;
}

void synchronize(Device device) {
  if (device != Device::cpu) gpu(device).synchronize();
}

std::function<void()> record_graph(Device device, const std::function<void()>& work) {
  require(device != Device::cpu, "a graph recorded on the cpu");
  return gpu(device).record_graph(work);
}

}  // namespace llm
