#include "chapters/04_flash_attention/attention_steps.h"
#include "chapters/04_flash_attention/flash_attention_backward_kernel.cuh"
#include "common/cuda/context.h"

namespace llm::LLM_GPU {

void flash_attention_backward(const AttentionInput& in, const AttentionOutput& forward, TensorView out_gradient,
                              Workspace& workspace, const AttentionGradients& gradients) {
  check_shapes(in, forward);
  require(forward.log_sum_exp.data != nullptr || in.num_tokens() == 0, "the backward pass needs log_sum_exp");
  require(out_gradient.shape == in.q.shape && gradients.q.shape == in.q.shape && gradients.k.shape == in.kv.k.shape &&
              gradients.v.shape == in.kv.v.shape,
          "gradients of q {} and k {}: the shapes do not agree", in.q.shape.to_string(), in.kv.k.shape.to_string());
  const Workspace::Scope scratch(workspace);
  const TensorView products = workspace.take({in.num_tokens(), in.heads()}, DType::f32);
  const auto heads = static_cast<unsigned>(in.heads()), kv_heads = static_cast<unsigned>(in.kv_heads()),
             num_seqs = static_cast<unsigned>(in.num_seqs());
  with_weight_type(in.q.dtype, [&](auto type) {
    using T = decltype(type);
    const auto p = attention_pointers<T>(in, forward);
    const GradientPointers<T> g{numbers<T>(out_gradient), p.log_sum_exp,           numbers<float>(products),
                                numbers<T>(gradients.q),  numbers<T>(gradients.k), numbers<T>(gradients.v)};
    for (const TensorView& view : {gradients.k, gradients.v}) {
      CUDA_CHECK(cudaMemsetAsync(view.data, 0, view.nbytes(), stream()));
    }
    constexpr unsigned kWarps = 4;
    const int num_rows = in.num_tokens() * in.heads();
    launch<row_products_kernel<T>>({ceil_div(num_rows, kWarps), {kWarpSize, kWarps}, 0, stream()}, g.dO, p.out,
                                   numbers<float>(products), num_rows, p.head_dim);
    with_head_dim(in.head_dim(), [&](auto head_dim) {
      constexpr int D = head_dim, BLOCK = 32;
      const unsigned key_tiles = ceil_div(in.max_context_len, BLOCK), query_tiles = ceil_div(in.max_query_len, BLOCK);
      constexpr size_t kBytes = sizeof(BackwardStorage<D, BLOCK>);
      launch<key_gradients_kernel<T, D, BLOCK>>(
          {{key_tiles, kv_heads, num_seqs}, tile_threads(BLOCK), kBytes, stream()}, p, g);
      launch<query_gradients_kernel<T, D, BLOCK>>(
          {{query_tiles, heads, num_seqs}, tile_threads(BLOCK), kBytes, stream()}, p, g);
    });
  });
}

}  // namespace llm::LLM_GPU
