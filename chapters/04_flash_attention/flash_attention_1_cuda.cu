#include "chapters/04_flash_attention/attention_steps.h"
#include "chapters/04_flash_attention/flash_attention_1_kernel.cuh"
#include "common/cuda/context.h"

namespace llm::LLM_GPU {

void flash_attention_1(const AttentionInput& in, Workspace& workspace, const AttentionOutput& out) {
  check_shapes(in, out);
  const Workspace::Scope scratch(workspace);
  const int64_t num_tokens = in.num_tokens(), heads = in.heads();
  const FlashState state{numbers<float>(workspace.take({num_tokens, heads, in.head_dim()}, DType::f32)),
                         numbers<float>(workspace.take({num_tokens, heads}, DType::f32)),
                         numbers<float>(workspace.take({num_tokens, heads}, DType::f32))};
  with_weight_type(in.q.dtype, [&](auto type) {
    using T = decltype(type);
    with_head_dim(in.head_dim(), [&](auto head_dim) {
      constexpr int D = head_dim;
      with_tile<T, D>(in.tile, [&](auto tile) {
        constexpr int BLOCK = tile;
        const dim3 grid(static_cast<unsigned>(heads), static_cast<unsigned>(in.num_seqs()));
        launch<flash_attention_1_kernel<T, D, BLOCK>>(
            {grid, tile_threads(BLOCK), sizeof(FlashStorage<D, BLOCK>), stream()}, attention_pointers<T>(in, out),
            state);
      });
    });
  });
}

}  // namespace llm::LLM_GPU
