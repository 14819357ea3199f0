// Chapter 8: the time to the first token of a long prompt, computed whole and with nine tenths of it cached.
#include <algorithm>

#include "bench/gpu/bench_gpu.h"
#include "chapters/04_flash_attention/flash_attend.h"
#include "chapters/08_prompt_caching/ttft_probe.h"

namespace llm {

void bench_prompt_cache(GpuBench& bench, const LoadedModel& loaded) {
  constexpr int32_t kMostTokens = 8192;
  const int answer = bench.quick ? 3 : 16, runs = bench.quick ? 2 : 5;
  const int32_t block_size = bench.quick ? 4 : 16;
  const int32_t text = bench.quick ? 14 : std::min<int32_t>(kMostTokens, loaded.config().context_length);
  const int32_t prompt_len = text - answer;
  // One step for the whole prompt, and room for the cached text beside the one that is served.
  ServiceParams params{
      2 * ((text + block_size - 1) / block_size), block_size, {.token_budget = prompt_len, .max_running = 1}};
  const AttendFn attend = flash_attend(bench.device);
  PromptService cold(loaded, params, attend);
  params.rules = CacheRules{};
  PromptService warm(loaded, params, attend);
  const TtftProbe probe = probe_ttft(loaded, cold, warm, prompt_len, prompt_len * 9 / 10, answer, runs);
  require(probe.same, "{}: the answer to a cached prompt is another one", loaded.name);
  require(probe.cached_tokens > 0, "{}: nothing was cached", loaded.name);
  Json row = Json::object();
  row.set("model", loaded.name).set("dtype", name_of(loaded.transformer->dtype()));
  row.set("prompt_len", probe.prompt_tokens).set("cached_tokens", probe.cached_tokens);
  row.set("cold_ttft_ms", summary(probe.cold_ms)).set("warm_ttft_ms", summary(probe.warm_ms));
  row.set("cold_step_ms", summary(probe.cold_decode_ms)).set("warm_step_ms", summary(probe.warm_decode_ms));
  bench.add("prompt_cache", row);
}

}  // namespace llm
