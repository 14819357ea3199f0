#include <algorithm>

#include "common/cuda/context.h"
#include "common/ops/argmax_kernel.cuh"
#include "common/ops/gpu_ops.h"

namespace llm::LLM_GPU {

namespace {

template <int N>
void find_tops(TensorView logits, unsigned blocks, Top* tops) {
  const LaunchConfig config{dim3(blocks, static_cast<unsigned>(logits.dim(0))), dim3(kTopThreads), sizeof(TopStorage),
                            stream()};
  launch<find_tops_kernel<N>>(config, packs<float, N>(logits), static_cast<int>(logits.dim(1)), tops);
}

}  // namespace

void argmax(TensorView logits, Workspace& workspace, TensorView out) {
  const Workspace::Scope scratch(workspace);
  const int64_t rows = logits.dim(0), width = logits.dim(1);
  const unsigned blocks = std::min(ceil_div(width, 4 * kTopThreads), unsigned{kMaxTopBlocks});
  constexpr int64_t kTopWords = sizeof(Top) / sizeof(int32_t);
  auto* tops = reinterpret_cast<Top*>(numbers<int32_t>(workspace.take({rows, blocks, kTopWords}, DType::i32)));
  if (width % 4 == 0) {
    find_tops<4>(logits, blocks, tops);
  } else {
    find_tops<1>(logits, blocks, tops);
  }
  launch<join_tops_kernel>({dim3(static_cast<unsigned>(rows)), dim3(kWarpSize), 0, stream()}, tops,
                           static_cast<int>(blocks), reinterpret_cast<TopToken*>(numbers<int32_t>(out)));
}

}  // namespace llm::LLM_GPU
