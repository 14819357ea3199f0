// How a kernel is started, and where its shared memory comes from: the same words on a GPU and on the simulator.
#pragma once

#include <cstddef>

#include "common/cuda/check.h"

namespace llm::LLM_GPU {

// region: launch
struct LaunchConfig {
  dim3 grid, block;
  size_t smem = 0;  // bytes of shared memory a block, sizeof(NameStorage) or more
  cudaStream_t stream = nullptr;
};

template <auto kernel>
struct Launcher;

template <class... Params, void (*kernel)(Params...)>
struct Launcher<kernel> {
  static void launch(const LaunchConfig& config, Params... params) {
    if (config.grid.x == 0 || config.grid.y == 0 || config.grid.z == 0) return;  // CUDA refuses an empty grid
#if defined(LLM_SIMT)
    launch_on_fibers(__PRETTY_FUNCTION__, config.grid, config.block, config.smem, config.stream,
                     [=] { kernel(params...); });
#else
    constexpr size_t kWithoutAsking = 48 * 1024;
    if (config.smem > kWithoutAsking) {
      CUDA_CHECK(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                      cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(config.smem)));
    }
    // From Hopper on, a kernel may start while the one before it still ends: see wait_for_earlier_kernels.
    cudaLaunchAttribute overlap{};
    overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    overlap.val.programmaticStreamSerializationAllowed = 1;
    cudaLaunchConfig_t launch_config{};
    launch_config.gridDim = config.grid;
    launch_config.blockDim = config.block;
    launch_config.dynamicSmemBytes = config.smem;
    launch_config.stream = config.stream;
    launch_config.attrs = &overlap;
    launch_config.numAttrs = 1;
    void* args[] = {&params..., nullptr};
    CUDA_CHECK(cudaLaunchKernelExC(&launch_config, reinterpret_cast<const void*>(kernel), args));
#endif
  }
};

// launch<add_rmsnorm_kernel<float>>({grid, block, smem, stream}, x, delta, ...): the arguments become the kernel's
// parameter types.
template <auto kernel, class... Args>
void launch(const LaunchConfig& config, Args... args) {
  Launcher<kernel>::launch(config, args...);
}
// endregion

// region: shared_storage
// The block's shared memory as one struct: dynamic shared memory on a GPU, a heap block of just its size on the
// simulator, where an access beyond it is found.
//   auto& smem = shared_storage<FewRowsStorage<Rows>>();
template <class Storage>
__device__ inline Storage& shared_storage() {
#if defined(LLM_SIMT)
  return *static_cast<Storage*>(shared_bytes(sizeof(Storage)));
#else
  extern __shared__ __align__(128) unsigned char shared_bytes[];
  return *reinterpret_cast<Storage*>(shared_bytes);
#endif
}
// endregion

}  // namespace llm::LLM_GPU
