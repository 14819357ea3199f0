// Starting a kernel, and a block's shared memory; see common/cuda/launch.h.
#pragma once

#include <cstddef>
#include <functional>

#include "common/simt/scheduler.h"
#include "common/simt/stream.h"

namespace llm::simt {

inline constexpr size_t kMaxSharedBytes = 227 * 1024;  // a block's, on Hopper

// Runs `body` in every thread of the grid, the blocks one after the other, or records that where `stream` is being
// captured. `pretty_function` tells the kernel's name: __PRETTY_FUNCTION__ of a function whose parameter `kernel` it
// is.
void launch_on_fibers(const char* pretty_function, dim3 grid, dim3 block, size_t smem, cudaStream_t stream,
                      std::function<void()> body);

// "attend_kernel<float, 4>", for what a compiler calls it there.
std::string kernel_name(std::string_view pretty_function);

// The running block's shared memory, filled with NaNs when the block began. `size` may not exceed what the launch gave.
void* shared_bytes(size_t size);

}  // namespace llm::simt
