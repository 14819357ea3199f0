// Attention's steps of chapter 4: of a prompt, which arithmetic bounds, and of one query a sequence, which reading the
// keys and values bounds.
#include <fmt/format.h>

#include "bench/gpu/step_bench.h"

namespace llm {

Json describe(const NamedStep& step, const StepShape& s) {
  Json row = Json::object();
  row.set("step", step.name).set("n", s.n).set("head_dim", s.head_dim).set("heads", s.heads);
  row.set("kv_heads", s.kv_heads).set("num_seqs", s.num_seqs).set("causal", s.causal);
  return row.set("block_size", s.block_size).set("dtype", name_of(s.dtype));
}

void require_right(const GpuBench& bench, const NamedStep& step, StepShape s) {
  s.n = std::min<int64_t>(s.n, 200);
  s.num_seqs = 2;
  s.heads = s.heads / s.kv_heads;  // a group of heads that share their keys
  s.kv_heads = 1;
  const double error = max_error(step.run, bench.device, s);
  require(error < 1e-2, "{} with head_dim {}: {} from float64", step.name, s.head_dim, error);  // NaN is not below
}

void bench_decoding(GpuBench& bench, const std::string& list, const NamedStep& step, const StepShape& s) {
  require_right(bench, step, s);
  std::vector<std::unique_ptr<StepProblem>> problems;
  const int64_t copies = count_copies(bench, static_cast<int64_t>(s.kv_bytes()));
  for (int64_t i = 0; i < copies; ++i) {
    problems.push_back(std::make_unique<StepProblem>(s, bench.device));
    problems.back()->run(step.run);
  }
  const Json us = time_us(bench, copies, [&](int64_t i) { problems[static_cast<size_t>(i % copies)]->run(step.run); });
  Json row = describe(step, s);
  row.set("kv_bytes", s.kv_bytes()).set("us", us).set("bytes_per_second", 1e6 * s.kv_bytes() / median_of(us));
  bench.add(list, row);
}

namespace {

void bench_prompt(GpuBench& bench, const NamedStep& step, const StepShape& s) {
  require_right(bench, step, s);
  StepProblem problem(s, bench.device);
  problem.run(step.run);  // what it allocates may not become part of a graph
  const Json us = time_us(bench, 1, [&](int64_t) { problem.run(step.run); });
  Json row = describe(step, s);
  row.set("flops", s.flops()).set("us", us).set("flops_per_second", 1e6 * s.flops() / median_of(us));
  bench.add("flash", row);
}

}  // namespace

void bench_flash(GpuBench& bench) {
  const AttentionSteps& steps = attention_steps(bench.device);
  const NamedStep standard{"standard_attention", steps.standard}, flash_1{"flash_attention_1", steps.flash_1};
  const NamedStep flash_2{"flash_attention_2", steps.flash_2}, decoding{"flash_decoding", steps.decoding};
  if (bench.quick) {
    for (const NamedStep& step : {standard, flash_1, flash_2}) {
      bench_prompt(bench, step, {.n = 33, .head_dim = 32, .heads = 2, .kv_heads = 2, .dtype = DType::bf16});
    }
    return bench_decoding(bench, "flash_decoding", decoding,
                          {.n = 33,
                           .head_dim = 32,
                           .heads = 4,
                           .kv_heads = 2,
                           .num_queries = 1,
                           .causal = true,
                           .dtype = DType::bf16,
                           .block_size = 16});
  }
  // As published measurements have it: 16,384 tokens in all, and 2,048 numbers in a token's heads.
  constexpr int64_t kTokens = 16384, kWidth = 2048;
  for (const int64_t head_dim : {64, 128}) {
    for (const bool causal : {false, true}) {
      for (const int64_t n : {512, 1024, 2048, 4096, 8192, 16384}) {
        const StepShape shape{.n = n,
                              .head_dim = head_dim,
                              .heads = kWidth / head_dim,
                              .kv_heads = kWidth / head_dim,
                              .num_seqs = kTokens / n,
                              .causal = causal,
                              .dtype = DType::bf16};
        bench_prompt(bench, flash_2, shape);
        if (head_dim == 128 && !causal && n <= 2048) {
          bench_prompt(bench, standard, shape);
          bench_prompt(bench, flash_1, shape);
        }
      }
    }
  }
  for (const int64_t num_seqs : {1, 8}) {
    for (const int64_t n : {4096, 16384, 65536}) {
      for (const int block_size : {0, 16}) {  // llama-3-8b's heads
        bench_decoding(bench, "flash_decoding", decoding,
                       {.n = n,
                        .head_dim = 128,
                        .heads = 32,
                        .kv_heads = 8,
                        .num_seqs = num_seqs,
                        .num_queries = 1,
                        .causal = true,
                        .dtype = DType::bf16,
                        .block_size = block_size});
      }
    }
  }
}

// For a profiler: each step once, the first of them at the start of each shape.
void bench_dram(GpuBench& bench) {
  const AttentionSteps& steps = attention_steps(bench.device);
  const std::vector<int64_t> lengths =
      bench.quick ? std::vector<int64_t>{33} : std::vector<int64_t>{1024, 2048, 4096, 8192};
  for (const int64_t n : lengths) {
    for (const NamedStep& step :
         {NamedStep{"standard_attention", steps.standard}, NamedStep{"flash_attention_1", steps.flash_1},
          NamedStep{"flash_attention_2", steps.flash_2}}) {
      const StepShape shape{.n = n, .head_dim = 64, .heads = 16, .kv_heads = 16, .dtype = DType::bf16};
      StepProblem problem(shape, bench.device);
      problem.run(step.run);
      // Q, K and V once, and the output once: no kernel can do with less.
      const auto row_bytes = static_cast<int64_t>(shape.kv_bytes() / 2.0);
      bench.add("dram",
                describe(step, shape).set("least_bytes_read", 3 * row_bytes).set("least_bytes_written", row_bytes));
    }
  }
}

}  // namespace llm
