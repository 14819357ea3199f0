// Attention of a prompt's tokens to each other, and of one new token to a long context.
#include <numeric>
#include <vector>

#include "bench/ops/bench_ops.h"
#include "common/ops/attention.h"

namespace llm {

namespace {

void bench_attend(benchmark::State& state, const BenchModel& model, int32_t context_len, int32_t new_tokens,
                  int block_size, DType dtype) {
  const int64_t num_blocks = (context_len + block_size - 1) / block_size;
  const Tensor k = bench_tensor({num_blocks * block_size, model.kv_heads, model.head_dim}, dtype);
  const Tensor v = bench_tensor({num_blocks * block_size, model.kv_heads, model.head_dim}, dtype);
  const Tensor table({1, num_blocks}, DType::i32);
  for (int64_t b = 0; b < num_blocks; ++b) table.view().as<int32_t>()[b] = static_cast<int32_t>(num_blocks - 1 - b);
  Batch batch(new_tokens, 1);
  batch.add(0, std::vector<int32_t>(static_cast<size_t>(new_tokens)), context_len - new_tokens, LogitRows::none);
  const Tensor q = bench_tensor({new_tokens, model.heads, model.head_dim});
  const Tensor out({new_tokens, model.heads, model.head_dim}, DType::f32);
  Workspace workspace;
  for (auto _ : state) {
    workspace.reset();
    cpu::attend(batch, q, {k, v, {}, table, block_size}, workspace, out);
    benchmark::ClobberMemory();
  }
  using benchmark::Counter;
  const double keys_seen = new_tokens * (context_len - new_tokens) + new_tokens * (new_tokens + 1) / 2.0;
  const double operations = 4.0 * keys_seen * static_cast<double>(model.heads * model.head_dim);
  const double bytes =
      2.0 * context_len * static_cast<double>(model.kv_heads * model.head_dim) * static_cast<double>(size_of(dtype));
  const double passes = static_cast<double>(state.iterations());
  state.counters["flop/s"] = Counter(passes * operations, Counter::kIsRate);
  state.counters["kv_bytes/s"] = Counter(passes * bytes, Counter::kIsRate);
}

}  // namespace

void register_attention() {
  struct Step {
    const char* name;
    int32_t context_len, new_tokens;
  };
  for (const BenchModel& model : kBenchModels) {
    for (const Step& step : {Step{"prefill:256", 256, 256}, {"decode:256", 256, 1}, {"decode:1024", 1024, 1}}) {
      for (const DType dtype : {DType::f32, DType::bf16}) {
        for (const int block_size : {16, 1024}) {
          register_bench(std::string("attend/") + name_of(dtype) + "/" + model.name + "/" + step.name +
                             "/block:" + std::to_string(block_size),
                         [=](benchmark::State& state) {
                           bench_attend(state, model, step.context_len, step.new_tokens, block_size, dtype);
                         });
        }
      }
    }
  }
}

}  // namespace llm
