#include "chapters/01_naive_generation/naive_generation.h"

#include <algorithm>

#include "chapters/01_naive_generation/forgetful_memory.h"

namespace llm {

Generation generate_naive(const Transformer& model, const std::vector<int32_t>& prompt, const GenerationParams& params,
                          const OnToken& on_token) {
  const ModelConfig& config = model.config();
  const int64_t max_length =
      std::min<int64_t>(config.context_length, static_cast<int64_t>(prompt.size()) + params.max_tokens);
  ForgetfulMemory memory(config, max_length, 1, model.dtype(), model.device());
  Batch batch(max_length, 1, model.device());
  Workspace workspace(model.device());
  const Tensor logits({1, config.vocab_size}, DType::f32, model.device());

  // region: loop
  Generation generation(prompt, config, params);
  while (!generation.finished()) {
    batch.clear();
    batch.add(0, generation.all(), 0, LogitRows::last);  // everything, again
    memory.begin_step(batch);
    model.forward(batch, memory, model.ops().attend, workspace, logits);
    const int32_t token = generation.sample(logits, batch.num_tokens());
    if (on_token) on_token(token);
  }
  return generation;
  // endregion
}

int64_t count_naive_passes(int64_t prompt, int64_t generated) {
  return generated * prompt + generated * (generated - 1) / 2;
}

}  // namespace llm
