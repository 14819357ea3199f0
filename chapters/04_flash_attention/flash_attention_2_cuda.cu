#include "chapters/04_flash_attention/attention_steps.h"
#include "chapters/04_flash_attention/flash_attention_2_kernel.cuh"
#include "chapters/04_flash_attention/flash_attention_2_tensor_kernel.cuh"
#include "common/cuda/context.h"

namespace llm::LLM_GPU {

namespace {

template <int D>
void multiply_add(const AttentionInput& in, const AttentionPointers<float>& p) {
  with_tile<float, D>(in.tile, [&](auto tile) {
    constexpr int BLOCK = tile;
    const dim3 grid(ceil_div(in.max_query_len, BLOCK), static_cast<unsigned>(p.heads),
                    static_cast<unsigned>(in.num_seqs()));
    launch<flash_attention_2_kernel<float, D, BLOCK>>(
        {grid, tile_threads(BLOCK), sizeof(FlashStorage<D, BLOCK>), stream()}, p);
  });
}

template <int D, class T>
void on_tensor_cores(const AttentionInput& in, const AttentionPointers<T>& p) {
  using Tiles = TensorTiles<D>;
  const dim3 grid(ceil_div(in.max_query_len, Tiles::kQueries), static_cast<unsigned>(p.heads),
                  static_cast<unsigned>(in.num_seqs()));
  const LaunchConfig config{grid, Tiles::kThreads, sizeof(TensorStorage<T, D>), stream()};
  launch<flash_attention_2_tensor_kernel<T, D>>(config, p);
}

}  // namespace

void flash_attention_2(const AttentionInput& in, Workspace&, const AttentionOutput& out) {
  check_shapes(in, out);
  with_weight_type(in.q.dtype, [&](auto type) {
    using T = decltype(type);
    const auto p = attention_pointers<T>(in, out);
    with_head_dim(in.head_dim(), [&](auto head_dim) {
      if constexpr (std::is_same_v<T, float>) {
        multiply_add<head_dim>(in, p);
      } else {
        on_tensor_cores<head_dim>(in, p);
      }
    });
  });
}

}  // namespace llm::LLM_GPU
