// Memory of every device behind one set of names.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "common/cuda/memory.h"
#include "common/tensor/tensor.h"

namespace llm {

// Throws InputError, in one sentence, where this build or this machine has no such device.
void require_device(Device device);

// Of what `allocate` gives: cudaMalloc's own, and a multiple of any vector load.
inline constexpr size_t kMemoryAlignment = 256;  // bytes

// Not cleared. Throws InputError where a GPU's memory is too small.
std::shared_ptr<void> allocate(Device device, size_t bytes);

// Memory of the host from which `device` can copy while the host goes on.
std::shared_ptr<void> allocate_staging(Device device, size_t bytes);

// Between the host and a device, or on one device, in the order of the device's work. A copy to the host waits for all
// work before it; one to a device may return before it is done.
void copy(TensorView from, TensorView to);

// Short lists from staging memory to `device`, all at once, as `copy`; nothing where the device is the host itself.
void copy_lists(Device device, std::span<const WordList> lists);

// `tensor` itself where it is on `device` already, else a copy there.
Tensor to_device(const Tensor& tensor, Device device);
// A copy in host memory.
Tensor to_host(TensorView view);

// Waits until the device has done all its work.
void synchronize(Device device);

// What `work` starts on a GPU is recorded, and done each time the result is called. The addresses it uses must stay.
std::function<void()> record_graph(Device device, const std::function<void()>& work);

}  // namespace llm
