#include "chapters/04_flash_attention/attention_steps.h"
#include "chapters/04_flash_attention/standard_attention_kernel.cuh"
#include "common/cuda/context.h"

namespace llm::LLM_GPU {

void standard_attention(const AttentionInput& in, Workspace& workspace, const AttentionOutput& out) {
  check_shapes(in, out);
  const Workspace::Scope scratch(workspace);
  const auto heads = static_cast<unsigned>(in.heads()), num_seqs = static_cast<unsigned>(in.num_seqs());
  with_weight_type(in.q.dtype, [&](auto type) {
    using T = decltype(type);
    const auto p = attention_pointers<T>(in, out);
    // region: standard
    const TensorView scores = workspace.take({in.num_tokens(), in.heads(), in.max_context_len}, in.q.dtype);
    T* const S = numbers<T>(scores);
    with_head_dim(in.head_dim(), [&](auto head_dim) {
      constexpr int D = head_dim, BLOCK = 32;
      const unsigned query_tiles = ceil_div(in.max_query_len, BLOCK), key_tiles = ceil_div(in.max_context_len, BLOCK);
      launch<scores_kernel<T, D, BLOCK>>({{key_tiles, query_tiles, num_seqs * heads},
                                          tile_threads(BLOCK),
                                          sizeof(ScoresStorage<T, D, BLOCK>),
                                          stream()},
                                         p, S, in.max_context_len);
      launch<softmax_kernel<T>>(
          {{ceil_div(in.max_query_len, kSoftmaxRows), heads, num_seqs}, {kWarpSize, kSoftmaxRows}, 0, stream()}, p, S,
          in.max_context_len);
      launch<weigh_kernel<T, D, BLOCK>>(
          {{query_tiles, heads, num_seqs}, tile_threads(BLOCK), sizeof(WeighStorage<T, D, BLOCK>), stream()}, p, S,
          in.max_context_len);
    });
    // endregion
  });
}

}  // namespace llm::LLM_GPU
