#include <algorithm>

#include "chapters/04_flash_attention/attention_steps.h"
#include "chapters/04_flash_attention/flash_decoding_tensor_kernel.cuh"
#include "common/cuda/context.h"

namespace llm::LLM_GPU {

namespace {

// As many parts as give every multiprocessor two blocks, none so short that it is not worth a block. It must not depend
// on the contexts' lengths of this step, since a recorded graph is replayed for later ones.
int choose_parts(const AttentionInput& in, int blocks_a_part) {
  const int64_t capacity = in.kv.block_table.dim(1) * in.kv.block_size;
  const int64_t wanted = 2 * num_multiprocessors() / std::max(blocks_a_part, 1);
  return static_cast<int>(std::clamp<int64_t>(wanted, 1, std::clamp<int64_t>(capacity / kKeysOfPart, 1, kMaxParts)));
}

template <auto kernel, int ROWS, int D, class T>
void launch_decoding(const AttentionInput& in, Workspace& workspace, const AttentionPointers<T>& p) {
  const int64_t tokens = in.num_tokens(), heads = p.heads, head_dim = p.head_dim;
  const unsigned chunks = static_cast<unsigned>(p.kv_heads) * ceil_div(heads / p.kv_heads, ROWS);
  const int64_t num_parts = choose_parts(in, static_cast<int>(chunks) * in.num_seqs());
  DecodingParts parts{};
  if (num_parts > 1) {
    parts = {numbers<float>(workspace.take({tokens, heads, num_parts, head_dim}, DType::f32)),
             numbers<float>(workspace.take({tokens, heads, num_parts}, DType::f32))};
  }
  const dim3 grid(static_cast<unsigned>(num_parts), chunks, static_cast<unsigned>(in.num_seqs()));
  launch<kernel>({grid, kDecodingThreads, sizeof(DecodingStorage<ROWS, D>), stream()}, p, parts);
  if (num_parts > 1) {
    launch<join_parts_kernel<T>>({{static_cast<unsigned>(heads), static_cast<unsigned>(tokens)},
                                  kDecodingThreads,
                                  sizeof(JoinStorage),
                                  stream()},
                                 p, parts, static_cast<int>(num_parts));
  }
}

}  // namespace

void flash_decoding(const AttentionInput& in, Workspace& workspace, const AttentionOutput& out) {
  check_shapes(in, out);
  require(in.max_query_len <= 1, "flash_decoding of {} queries a sequence; it takes one", in.max_query_len);
  const Workspace::Scope scratch(workspace);
  with_weight_type(in.q.dtype, [&](auto type) {
    using T = decltype(type);
    const auto p = attention_pointers<T>(in, out);
    if constexpr (!std::is_same_v<T, float>) {
      if (p.head_dim % 8 == 0) {
        constexpr int ROWS = kDecodingTensorRows;
        if (p.head_dim <= 64) {
          return launch_decoding<flash_decoding_tensor_kernel<T, 64>, ROWS, 64>(in, workspace, p);
        }
        return launch_decoding<flash_decoding_tensor_kernel<T, 128>, ROWS, 128>(in, workspace, p);
      }
    }
    with_head_dim(p.head_dim, [&](auto head_dim) {
      constexpr int D = head_dim;
      launch_decoding<flash_decoding_kernel<T, D>, kDecodingRows, D>(in, workspace, p);
    });
  });
}

}  // namespace llm::LLM_GPU
