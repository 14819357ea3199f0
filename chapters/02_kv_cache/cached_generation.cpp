#include "chapters/02_kv_cache/cached_generation.h"

#include "common/model/step_runner.h"
#include "common/program/format.h"

namespace llm {

Generation generate_cached(const Transformer& model, KvMemory& cache, AttendFn attend,
                           const std::vector<int32_t>& prompt, const GenerationParams& params,
                           const OnToken& on_token) {
  const ModelConfig& config = model.config();
  Batch batch(static_cast<int64_t>(prompt.size()), 1, model.device());
  StepRunner runner(model, attend);

  // region: loop
  Generation generation(prompt, config, params);
  size_t num_computed_tokens = 0;  // those whose keys and values are in the cache
  while (!generation.finished()) {
    const std::span<const int32_t> new_tokens = std::span(generation.all()).subspan(num_computed_tokens);
    batch.clear();
    batch.add(0, new_tokens, static_cast<int32_t>(num_computed_tokens), LogitRows::last);
    require(cache.begin_step(batch), "the cache is smaller than the generation");
    const TensorView logits = runner.run(batch, cache);
    num_computed_tokens = generation.all().size();
    const int32_t token = generation.sample(logits, batch.num_tokens());
    if (on_token) on_token(token);
  }
  return generation;
  // endregion
}

int64_t count_cached_passes(int64_t prompt, int64_t generated) { return prompt + generated - 1; }

double predict_decode_ms(const Transformer& model, const MachineRates& rates, int64_t prompt_len, int64_t generated) {
  double total_ms = 0.0;
  for (int64_t i = 1; i < generated; ++i) total_ms += predict_pass_ms(model, rates, 1, prompt_len + i);
  return total_ms / static_cast<double>(generated - 1);
}

double median_decode_ms(const Generation& generation) {
  const std::vector<double>& ms = generation.step_ms();
  return median({ms.begin() + 1, ms.end()});
}

}  // namespace llm
