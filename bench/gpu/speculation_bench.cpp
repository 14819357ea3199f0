// Speculation with models of real shapes: what a draft's step and a verification take, in steps of the target, and what
// rounds bring at a simulated acceptance. Random weights agree on nothing, so a coin accepts.
#include <algorithm>

#include "bench/gpu/bench_gpu.h"
#include "chapters/02_kv_cache/contiguous_kv_cache.h"
#include "chapters/06_speculative_decoding/formulas.h"
#include "chapters/06_speculative_decoding/measure_speedup.h"
#include "chapters/06_speculative_decoding/model_drafter.h"
#include "chapters/06_speculative_decoding/shared_vocabulary.h"

namespace llm {

void bench_speculation(GpuBench& bench, const std::string& name, const std::string& draft_name, DType dtype) {
  const LoadedModel target = load_model(name, dtype, bench.device);
  const LoadedModel draft = load_model(draft_name, dtype, bench.device, "--draft-model");
  check_shared_vocabulary(target, draft);
  const Transformer& draft_model = *draft.transformer;
  const int max_tokens = bench.quick ? 8 : 128;
  const auto make_drafter = [&](int64_t prompt_tokens, int64_t num_seqs) -> OwnedDrafter {
    const auto longest = std::min<int64_t>(draft.config().context_length, prompt_tokens + max_tokens);
    auto memory = std::make_unique<ContiguousKvCache>(draft.config(), longest, num_seqs, dtype, bench.device);
    auto drafter = std::make_unique<ModelDrafter>(draft_model, *memory, draft_model.ops().attend,
                                                  prompt_tokens + 2 * num_seqs, num_seqs, 1);
    return {std::move(memory), std::move(drafter)};
  };
  std::vector<int32_t> prompt;
  for (int32_t i = 0; i < 16; ++i) prompt.push_back((7919 * i + 13) % target.config().vocab_size);
  SpeedupProblem problem{*target.transformer, make_drafter, {prompt}, {max_tokens, true, {}}};

  const std::vector<int> ks = bench.quick ? std::vector<int>{2} : std::vector<int>{1, 2, 3, 4, 6, 8};
  for (const double alpha : {0.6, 0.7, 0.8}) {
    problem.simulated_alpha = alpha;
    for (const MeasuredSpeedup& row : measure_speedups(problem, ks, bench.quick ? 0.0 : 25.0)) {
      Json json = Json::object();
      json.set("model", name).set("draft_model", draft_name).set("dtype", name_of(dtype));
      json.set("simulated_acceptance", alpha).set("k", row.k).set("cost_ratio", row.c).set("verify_ratio", row.v);
      json.set("tokens_per_round", row.counts.tokens_per_round()).set("speedup", row.measured);
      bench.add("speculation", json.set("speedup_predicted", expected_speedup(alpha, row.k, row.c, row.v)));
    }
  }
}

}  // namespace llm
