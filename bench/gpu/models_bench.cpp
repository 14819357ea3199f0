// Whole models: chapter 2's decode and prefill as the chapter does them, sampling and the reading of each token
// included, chapter 8's prompts, and chapter 1 for the embedded one.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <numeric>

#include "bench/gpu/bench_gpu.h"
#include "chapters/01_naive_generation/naive_generation.h"
#include "chapters/02_kv_cache/cached_generation.h"
#include "chapters/02_kv_cache/contiguous_kv_cache.h"
#include "common/program/loaded_model.h"
#include "common/program/predict.h"
#include "common/program/same_output.h"

namespace llm {

namespace {

constexpr int kWarmTokens = 4;  // the prefill, and steps of one token up to the third, which is recorded as a graph

std::vector<int32_t> some_tokens(int64_t count, int vocab_size) {
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < count; ++i) tokens.push_back(static_cast<int32_t>((7919 * i + 13) % vocab_size));
  return tokens;
}

Generation generate(const Transformer& model, int64_t prompt_len, int max_tokens) {
  ContiguousKvCache cache(model.config(), prompt_len + max_tokens, 1, model.dtype(), model.device());
  return generate_cached(model, cache, model.ops().attend, some_tokens(prompt_len, model.config().vocab_size),
                         {max_tokens, true, {}});
}

void require_same_output(const GpuBench& bench, const LoadedModel& loaded) {
  const int prompt_len = bench.quick ? 3 : 13, tokens = bench.quick ? 4 : 9;
  const Transformer& model = *loaded.transformer;
  const Generation naive =
      generate_naive(model, some_tokens(prompt_len, model.config().vocab_size), {tokens, true, {}});
  const Comparison comparison = compare_outputs(
      naive.token_ids(), naive.top_gaps(), generate(model, prompt_len, tokens).token_ids(), near_tie(model.dtype()));
  require(comparison.same, "{}: same output as chapter 1: {}", loaded.name, describe(comparison));
}

// Tokens per second of each run, without the first tokens.
void bench_decode(GpuBench& bench, const LoadedModel& loaded, int context_len) {
  const Transformer& model = *loaded.transformer;
  const int steps = bench.quick ? 2 : 64, runs = bench.quick ? 2 : 5;
  if (context_len + kWarmTokens + steps > model.config().context_length) return;
  std::vector<double> rates, step_ms;
  for (int r = 0; r < runs; ++r) {
    const Generation generation = generate(model, context_len, kWarmTokens + steps);
    const auto first = generation.step_ms().begin() + kWarmTokens;
    rates.push_back(1000.0 * steps / std::accumulate(first, generation.step_ms().end(), 0.0));
    step_ms.insert(step_ms.end(), first, generation.step_ms().end());
  }
  Json row = row_of(loaded);
  row.set("context_len", context_len).set("steps", steps);
  row.set("bytes_per_token", count_bytes(model, context_len + kWarmTokens + steps / 2));
  bench.add("decode", row.set("tokens_per_second", summary(rates)).set("step_ms", summary(step_ms)));
}

void bench_prefill(GpuBench& bench, const LoadedModel& loaded, int prompt_len) {
  const Transformer& model = *loaded.transformer;
  const int runs = bench.quick ? 2 : 7;
  if (prompt_len >= model.config().context_length) return;
  generate(model, prompt_len, 1);
  std::vector<double> ms;
  for (int r = 0; r < runs; ++r) ms.push_back(generate(model, prompt_len, 1).ttft_ms());
  Json row = row_of(loaded);
  row.set("prompt_len", prompt_len).set("flops", count_flops(model.config(), prompt_len, prompt_len));
  row.set("ttft_ms", summary(ms));
  bench.add("prefill", row.set("tokens_per_second", 1000.0 * prompt_len / median_of(row.at("ttft_ms"))));
}

void bench_naive(GpuBench& bench, const LoadedModel& loaded, int prompt_len, int tokens) {
  const Transformer& model = *loaded.transformer;
  const std::vector<int32_t> prompt = some_tokens(prompt_len, model.config().vocab_size);
  std::vector<double> rates, cached_rates;
  for (int r = 0; r < (bench.quick ? 2 : 5); ++r) {
    rates.push_back(generate_naive(model, prompt, {tokens, true, {}}).tokens_per_second());
    cached_rates.push_back(generate(model, prompt_len, tokens).tokens_per_second());
  }
  Json row = row_of(loaded);
  row.set("prompt_len", prompt_len).set("tokens", tokens).set("tokens_per_second", summary(rates));
  bench.add("naive", row.set("cached_tokens_per_second", summary(cached_rates)));
}

}  // namespace

void bench_model(GpuBench& bench, const std::string& name, DType dtype) {
  const auto begin = std::chrono::steady_clock::now();
  const LoadedModel loaded = load_model(name, dtype, bench.device);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  Json row = row_of(loaded);
  row.set("bytes_per_step", static_cast<int64_t>(loaded.transformer->weights().bytes_per_step()));
  bench.add("loading", row.set("seconds", seconds));
  require_same_output(bench, loaded);
  if (bench.quick) {
    bench_decode(bench, loaded, 3);
    bench_prefill(bench, loaded, 7);
    bench_prompt_cache(bench, loaded);
    if (loaded.tokenizer) bench_naive(bench, loaded, 2, 3);
    return;
  }
  const bool long_context = loaded.config().context_length > 4096;
  for (const int context_len : long_context ? std::vector{128, 512, 4096} : std::vector{16, 128, 384}) {
    bench_decode(bench, loaded, context_len);
  }
  bench_prefill(bench, loaded, long_context ? 512 : 384);
  bench_prompt_cache(bench, loaded);
  if (loaded.tokenizer) bench_naive(bench, loaded, 5, 150);
}

}  // namespace llm
