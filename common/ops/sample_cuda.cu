#include <algorithm>

#include "common/cuda/context.h"
#include "common/cuda/numbers.cuh"
#include "common/ops/gpu_ops.h"
#include "common/ops/sample_kernel.cuh"

namespace llm::LLM_GPU {

void sample(TensorView logits, TensorView rows, Workspace& workspace, TensorView out) {
  const auto num_rows = static_cast<unsigned>(logits.dim(0));
  const int64_t vocab_size = logits.dim(1);
  require(vocab_size <= kMaxVocab, "a vocabulary of {} tokens, of which a key holds {}", vocab_size, kMaxVocab);
  argmax(logits, workspace, out);
  const unsigned warps = std::clamp(ceil_div(vocab_size, 4 * kWarpSize), 1u, 32u);  // a thread has some tokens at least
  launch<sample_kernel>({dim3(num_rows), dim3(warps * kWarpSize), sizeof(SampleStorage), stream()},
                        numbers<float>(logits), reinterpret_cast<const SampleRow*>(numbers<int32_t>(rows)),
                        static_cast<int>(vocab_size), reinterpret_cast<TopToken*>(numbers<int32_t>(out)));
}

}  // namespace llm::LLM_GPU
