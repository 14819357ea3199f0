// Chapter 2, KV cache: keep the keys and values of all earlier tokens and feed one token a step.
//
// Read docs/02-kv-cache.md beside this file.
#include <fmt/format.h>

#include <algorithm>

#include "chapters/01_naive_generation/naive_generation.h"
#include "chapters/01_naive_generation/reference.h"
#include "chapters/02_kv_cache/cached_generation.h"
#include "chapters/02_kv_cache/contiguous_kv_cache.h"
#include "common/model/random_weights.h"
#include "common/program/predict.h"
#include "common/program/program.h"
#include "common/program/report.h"
#include "common/program/token_stream.h"

namespace llm {
namespace {

// What a bf16 cache costs in models that are in use.
Json describe_real_models() {
  Json models = Json::array();
  for (const char* name : {"llama-2-7b", "llama-3-8b", "llama-3-70b"}) {
    const ModelConfig c = random_shape(name);
    Json model = Json::object();
    model.set("name", name).set("layers", c.num_layers).set("kv_heads", c.num_kv_heads).set("head_dim", c.head_dim);
    models.push(model.set("kv_bytes_per_token", c.kv_bytes_per_token(size_of(DType::bf16))));
  }
  return models;
}

std::string draw_real_models(const Json& models) {
  Table table({"bf16 KV cache", "layers", "KV heads", "head_dim", "a token", "4,096 tokens"});
  models.for_each([&](Json model) {
    const double bytes = model.at("kv_bytes_per_token").number();
    const auto count = [&](const char* key) { return format_count(model.at(key).integer()); };
    table.add({model.at("name").string(), count("layers"), count("kv_heads"), count("head_dim"), format_bytes(bytes),
               format_bytes(4096.0 * bytes)});
  });
  return table.to_string();
}

int run(int argc, const char* const* argv) {
  const Options options =
      OptionParser("chapter_02", "Chapter 2, KV cache: keep keys and values, feed one token a step.").parse(argc, argv);
  const LoadedModel loaded = load_model(options);
  const Transformer& model = *loaded.transformer;
  const ModelConfig& config = model.config();
  const std::vector<int32_t> prompt = prompt_token_ids(loaded, options);
  const GenerationParams params{options.max_tokens, options.ignore_eos, options.sampling};

  // Room for the longest case, taken before the first token.
  const int64_t prompt_len = static_cast<int64_t>(prompt.size());
  const int64_t max_length = std::min<int64_t>(config.context_length, prompt_len + options.max_tokens);
  ContiguousKvCache cache(config, max_length, 1, options.dtype, options.device);

  TokenStream stream(loaded, prompt);
  const Generation generation =
      generate_cached(model, cache, model.ops().attend, prompt, params, [&](int32_t token) { stream.push(token); });
  stream.finish();
  const ReferenceOutput naive = reference_output(loaded, options, prompt, params);

  const int64_t generated = static_cast<int64_t>(generation.token_ids().size());
  const int64_t naive_passes = count_naive_passes(prompt_len, generated);
  const MachineRates rates = measure_rates(model);
  fmt::print("\ntime per token, chapter 1:\n{}", draw_bars(naive.step_ms));
  fmt::print("\ntime per token, chapter 2:\n{}", draw_bars(generation.step_ms()));
  const Json real_models = describe_real_models();
  fmt::print("\nwhat the cache costs elsewhere, 2 · layers · KV heads · head_dim · 2 bytes:\n{}",
             draw_real_models(real_models));

  const int64_t kv_bytes_per_token = config.kv_bytes_per_token(size_of(options.dtype));
  Report report({2, "KV cache"}, loaded, options);
  report.add_generation(generation, cache.nbytes(), predict_pass_ms(model, rates, prompt_len, prompt_len),
                        predict_decode_ms(model, rates, prompt_len, generated));
  report.add_row("tokens passed, chapter 1", format_count(naive_passes), "");
  report.add_row("tokens passed, chapter 2", format_count(count_cached_passes(prompt_len, generated)),
                 format_count(generation.token_passes()));
  report.add_row("KV bytes per token", format_count(kv_bytes_per_token),
                 format_count(static_cast<int64_t>(cache.nbytes()) / max_length));
  report.add_row("KV bytes reserved", format_bytes(static_cast<double>(kv_bytes_per_token * max_length)),
                 format_bytes(static_cast<double>(cache.nbytes())));
  report.details()
      .set("kv_bytes_per_token", kv_bytes_per_token)
      .set("token_passes_naive", naive_passes)
      .set("token_passes_cached", generation.token_passes())
      .set("real_models", real_models);
  report.compare(naive.token_ids, naive.top_gaps);
  return report.finish();
}

}  // namespace
}  // namespace llm

int main(int argc, char** argv) {
  return llm::run_program([&] { return llm::run(argc, argv); });
}
