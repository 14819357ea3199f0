// The operators that pass over activations once: norm, rotation, activation function, and picking rows.
#include "bench/ops/bench_ops.h"
#include "common/ops/embed.h"
#include "common/ops/rmsnorm.h"
#include "common/ops/rope.h"
#include "common/ops/swiglu.h"

namespace llm {

namespace {

template <class Run>
void time_rows(benchmark::State& state, int64_t rows, Run run) {
  for (auto _ : state) {
    run();
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * rows);
}

// 0, 1, 2, ... below `limit`, and again.
Tensor counting(int64_t count, int64_t limit) {
  Tensor numbers({count}, DType::i32);
  for (int64_t i = 0; i < count; ++i) numbers.view().as<int32_t>()[i] = static_cast<int32_t>(i % limit);
  return numbers;
}

void bench_add_rmsnorm(benchmark::State& state, const BenchModel& model, int64_t rows) {
  const Tensor x = bench_tensor({rows, model.hidden}), weight = bench_tensor({model.hidden});
  const Tensor delta({rows, model.hidden}, DType::f32), out({rows, model.hidden}, DType::f32);
  for (int64_t i = 0; i < rows * model.hidden; ++i) delta.view().as<float>()[i] = 0x1p-30f;  // x must not grow
  time_rows(state, rows, [&] { cpu::add_rmsnorm(x, delta, weight, 1e-5f, out); });
}

void bench_rope_and_store(benchmark::State& state, const BenchModel& model, int64_t rows, DType dtype) {
  const Tensor qkv = bench_tensor({rows, model.qkv()}), cos_sin = bench_tensor({1024, model.head_dim});
  const Tensor q({rows, model.heads, model.head_dim}, DType::f32);
  const Tensor k({rows, model.kv_heads, model.head_dim}, dtype), v({rows, model.kv_heads, model.head_dim}, dtype);
  const Tensor positions = counting(rows, 1024), slots = counting(rows, rows);
  time_rows(state, rows, [&] {
    cpu::rope_and_store(qkv, positions, {cos_sin, {}, {}, 0.0f}, q, {k, v, slots, {}, 1});
  });
}

void bench_swiglu(benchmark::State& state, const BenchModel& model, int64_t rows) {
  const Tensor gate_up = bench_tensor({rows, 2 * model.intermediate}), out({rows, model.intermediate}, DType::f32);
  time_rows(state, rows, [&] { cpu::swiglu(gate_up, out); });
}

void bench_embed(benchmark::State& state, const BenchModel& model, int64_t rows, DType dtype) {
  const Tensor table = bench_tensor({model.vocab, model.hidden}, dtype), tokens = counting(rows, model.vocab);
  const Tensor out({rows, model.hidden}, DType::f32);
  time_rows(state, rows, [&] { cpu::embed(tokens, table, out); });
}

void bench_gather_rows(benchmark::State& state, const BenchModel& model, int64_t rows) {
  const Tensor x = bench_tensor({rows, model.hidden}), picked = counting(rows, rows),
               out({rows, model.hidden}, DType::f32);
  time_rows(state, rows, [&] { cpu::gather_rows(x, picked, out); });
}

}  // namespace

void register_rowwise() {
  using benchmark::State;
  for (const BenchModel& model : kBenchModels) {
    for (const int64_t rows : {1, 256}) {
      const std::string suffix = std::string("/") + model.name + "/rows:" + std::to_string(rows);
      register_bench("add_rmsnorm" + suffix, [=](State& state) { bench_add_rmsnorm(state, model, rows); });
      register_bench("swiglu" + suffix, [=](State& state) { bench_swiglu(state, model, rows); });
      register_bench("gather_rows" + suffix, [=](State& state) { bench_gather_rows(state, model, rows); });
      for (const DType dtype : {DType::f32, DType::bf16}) {
        const std::string of_dtype = std::string("/") + name_of(dtype) + suffix;
        register_bench("embed" + of_dtype, [=](State& state) { bench_embed(state, model, rows, dtype); });
        register_bench("rope_and_store" + of_dtype,
                       [=](State& state) { bench_rope_and_store(state, model, rows, dtype); });
      }
    }
  }
}

}  // namespace llm
