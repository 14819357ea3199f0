// Chapter 5: ways of reading keys and values that heads share, and what fewer of them do for a whole model.
#include "bench/gpu/step_bench.h"
#include "chapters/04_flash_attention/flash_attend.h"
#include "chapters/05_grouped_query_attention/decode_speed.h"
#include "chapters/05_grouped_query_attention/grouped_steps.h"
#include "common/model/random_weights.h"

namespace llm {

namespace {

void bench_steps(GpuBench& bench, const StepShape& shape) {
  const GroupedSteps& steps = grouped_steps(bench.device);
  const NamedStep named[] = {
      {"expanded", steps.expanded}, {"per_head", steps.per_head}, {"grouped", steps.grouped}, {"tensor", steps.tensor}};
  for (const NamedStep& step : named) bench_decoding(bench, "grouped_attention", step, shape);
}

// The model's own shape but for the KV heads; random weights, since only the time matters.
void bench_model_with(GpuBench& bench, ModelConfig config, int kv_heads, const std::vector<DecodeShape>& shapes) {
  config.num_kv_heads = kv_heads;
  const auto weights = make_random_weights(0);
  const Transformer model(config, *weights, DType::bf16, bench.device);
  for (const DecodeShape& shape : shapes) {
    Json row = Json::object();
    row.set("model", config.name).set("heads", config.num_heads).set("kv_heads", kv_heads);
    row.set("context_len", shape.context_len).set("batch", shape.batch);
    row.set("bytes_per_token", count_bytes_per_token(model, shape));
    row.set("tokens_per_second", measure_decode_rate(model, flash_attend(bench.device), shape));
    bench.add("grouped_decode", row);
  }
}

}  // namespace

void bench_grouped(GpuBench& bench) {
  StepShape shape{.num_queries = 1, .causal = true, .dtype = DType::bf16, .block_size = 16};
  if (bench.quick) {
    shape.n = 33;
    shape.heads = 4;
    shape.kv_heads = 2;
    bench_steps(bench, shape);
    ModelConfig tiny = random_shape("llama2c-15m");
    tiny.num_layers = 1;
    tiny.vocab_size = 64;
    return bench_model_with(bench, tiny, 2, {{3, 2}});
  }
  shape.head_dim = 128;
  shape.heads = 32;  // llama-3-8b's, with its 8 KV heads and with both ends
  for (const int64_t kv_heads : {32, 8, 1}) {
    for (const auto& [n, num_seqs] : {std::pair<int64_t, int64_t>{4096, 1}, {32768, 1}, {4096, 16}}) {
      shape.kv_heads = kv_heads;
      shape.n = n;
      shape.num_seqs = num_seqs;
      bench_steps(bench, shape);
    }
  }
  for (const int kv_heads : {32, 8, 1}) {
    bench_model_with(bench, random_shape("llama-3-8b"), kv_heads, {{512, 1}, {4096, 1}, {512, 16}, {4096, 16}});
  }
}

}  // namespace llm
