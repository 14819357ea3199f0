#include "common/cuda/runtime.h"
#include "common/ops/gpu_ops.h"

namespace llm::LLM_GPU {

const Ops& ops() {
  static constexpr Ops kOps = {
      .make_matrix = make_matrix,
      .embed = embed,
      .add_rmsnorm = add_rmsnorm,
      .matmul = matmul,
      .rope_and_store = rope_and_store,
      .swiglu_matmul = swiglu_matmul,
      .gather_rows = gather_rows,
      .attend = attend,
      .argmax = argmax,
      .sample = sample,
      .fill_random = fill_random,
      .sum_rows = sum_rows,
  };
  return kOps;
}

}  // namespace llm::LLM_GPU
