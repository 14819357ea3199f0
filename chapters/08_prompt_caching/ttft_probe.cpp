#include "chapters/08_prompt_caching/ttft_probe.h"

#include "chapters/02_kv_cache/cached_generation.h"
#include "chapters/08_prompt_caching/assistant_loads.h"
#include "common/program/format.h"
#include "common/program/same_output.h"

namespace llm {

double TtftProbe::ttft_ratio() const { return median(cold_ms) / median(warm_ms); }

double TtftProbe::decode_ratio() const { return median(warm_decode_ms) / median(cold_decode_ms); }

TtftProbe probe_ttft(const LoadedModel& model, PromptService& cold, PromptService& warm, int32_t prompt_len,
                     int32_t shared_len, int answer_tokens, int runs) {
  const auto length = static_cast<size_t>(prompt_len), shared = static_cast<size_t>(shared_len);
  const std::vector<int32_t> beginning = write_tokens(model, Sentences::rules, shared, 1000, true);
  TtftProbe probe;
  for (int run = 0; run <= runs; ++run) {
    const uint64_t seed = 2000 + static_cast<uint64_t>(run);
    const std::vector<int32_t> end = write_tokens(model, Sentences::questions, length - shared, seed, false);
    Request request{"probe", beginning, {answer_tokens, true, {}}};
    request.prompt.insert(request.prompt.end(), end.begin(), end.end());
    const Generation& a = cold.serve({request}).front()->generation;
    const Sequence& sequence = *warm.serve({request}).front();
    const Generation& b = sequence.generation;
    probe.same &= compare_outputs(a.token_ids(), a.top_gaps(), b.token_ids(), near_tie(warm.dtype())).same;
    if (run == 0) continue;  // it fills the cache, and warms both up
    probe.prompt_tokens = std::ssize(request.prompt);
    probe.cached_tokens = sequence.num_cached_tokens;
    probe.cold_ms.push_back(a.ttft_ms());
    probe.warm_ms.push_back(b.ttft_ms());
    probe.cold_decode_ms.push_back(median_decode_ms(a));
    probe.warm_decode_ms.push_back(median_decode_ms(b));
  }
  return probe;
}

}  // namespace llm
