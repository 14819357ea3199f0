// Contiguous against paged: what a block table costs. Attention alone, a whole decode step, and the table's upkeep.
// Blocks are dealt out in a random order, as after hours of service.
//
//     bench_paged --benchmark_repetitions=5 --benchmark_enable_random_interleaving=true --benchmark_min_time=0.05
//         --benchmark_out=bench/results/paged.json --benchmark_out_format=json
//
// f32, on the CPU.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>

#include "bench/chapters/run_benchmarks.h"
#include "chapters/02_kv_cache/contiguous_kv_cache.h"
#include "chapters/03_paged_attention/paged_kv_cache.h"
#include "common/model/step_runner.h"
#include "common/program/loaded_model.h"

namespace llm {
namespace {

constexpr int32_t kContiguous = 0;  // in place of a block size
constexpr int32_t kSequences = 4, kContext = 500;

const Transformer& model_of(const std::string& name) {
  static std::map<std::string, LoadedModel> models;
  LoadedModel& model = models[name];
  if (!model.transformer) model = load_model(name, DType::f32, Device::cpu);
  return *model.transformer;
}

std::unique_ptr<KvMemory> make_memory(const ModelConfig& config, int32_t block_size, int32_t max_length) {
  if (block_size == kContiguous) {
    return std::make_unique<ContiguousKvCache>(config, max_length, kSequences, DType::f32);
  }
  const int32_t num_blocks = kSequences * ((max_length + block_size - 1) / block_size);
  const PagedKvCacheSize size{num_blocks, block_size, max_length, kSequences};
  auto cache = std::make_unique<PagedKvCache>(config, size, DType::f32);
  std::vector<int32_t> blocks;
  while (const auto block = cache->pool().allocate()) blocks.push_back(*block);
  std::shuffle(blocks.begin(), blocks.end(), std::mt19937(1));
  for (const int32_t block : blocks) cache->pool().release(block);
  return cache;
}

// The sequences come with `count` tokens each from position `first` on.
void fill_step(Batch& batch, int32_t first, int32_t count) {
  const std::vector<int32_t> tokens(static_cast<size_t>(count), 1);
  batch.clear();
  for (int32_t id = 0; id < kSequences; ++id) batch.add(id, tokens, first, LogitRows::last);
}

// Numbers that are not zeros, where a forward pass would have left keys and values, or a query.
void fill_numbers(TensorView view) {
  std::mt19937 random(2);
  std::uniform_real_distribution<float> numbers(-0.5f, 0.5f);
  std::generate_n(view.as<float>(), view.numel(), [&] { return numbers(random); });
}

// One new token of each sequence over its context, in one layer.
void attend_alone(benchmark::State& state, const ModelConfig& config, int32_t block_size, int32_t context) {
  const auto memory = make_memory(config, block_size, context);
  Batch batch(int64_t{kSequences} * context, kSequences);
  fill_step(batch, 0, context - 1);
  require(memory->begin_step(batch), "no room");
  fill_numbers(memory->layer(0).k);
  fill_numbers(memory->layer(0).v);
  fill_step(batch, context - 1, 1);
  require(memory->begin_step(batch), "no room");
  const Shape shape{kSequences, config.num_heads, config.head_dim};
  const Tensor q(shape, DType::f32), out(shape, DType::f32);
  fill_numbers(q);
  Workspace workspace;
  const AttendFn attend = ops_for(Device::cpu).attend;
  for (auto _ : state) {
    workspace.reset();
    attend(batch, q, memory->layer(0), workspace, out);
    benchmark::ClobberMemory();
  }
  const double bytes = static_cast<double>(config.kv_bytes_per_token(size_of(DType::f32))) * kSequences * context;
  state.counters["bytes_per_second"] =
      benchmark::Counter(bytes * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

// A decode step of all sequences after kContext tokens; the same step again and again.
void decode(benchmark::State& state, const std::string& name, int32_t block_size) {
  const Transformer& model = model_of(name);
  const int32_t context = std::min<int32_t>(kContext, model.config().context_length - 1);
  const auto memory = make_memory(model.config(), block_size, context + 1);
  Batch batch(int64_t{kSequences} * context, kSequences);
  StepRunner runner(model, model.ops().attend);
  const auto step = [&](int32_t first, int32_t count) {
    fill_step(batch, first, count);
    require(memory->begin_step(batch), "no room");
    runner.run(batch, *memory);
  };
  step(0, context);
  for (auto _ : state) {
    step(context, 1);
    for (int32_t id = 0; id < kSequences; ++id) memory->truncate(id, context);
    benchmark::ClobberMemory();
  }
  state.counters["tokens_per_second"] =
      benchmark::Counter(static_cast<double>(state.iterations() * kSequences), benchmark::Counter::kIsRate);
}

ModelConfig attention_shape(int heads, int kv_heads, int head_dim) {
  ModelConfig config;
  config.num_layers = 1;
  config.num_heads = heads;
  config.num_kv_heads = kv_heads;
  config.head_dim = head_dim;
  return config;
}

// Slots and table of a step that adds one token to each sequence: the host's part of paging.
void upkeep(benchmark::State& state, int32_t block_size) {
  const auto memory = make_memory(attention_shape(1, 1, 2), block_size, kContext + 1);
  Batch batch(int64_t{kSequences} * kContext, kSequences);
  fill_step(batch, 0, kContext);
  require(memory->begin_step(batch), "no room");
  fill_step(batch, kContext, 1);
  for (auto _ : state) {
    benchmark::DoNotOptimize(memory->begin_step(batch));
    for (int32_t id = 0; id < kSequences; ++id) memory->truncate(id, kContext);
  }
  state.counters["steps_per_second"] =
      benchmark::Counter(static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

void register_all() {
  const auto add = [](const std::string& name, auto&& body) {
    benchmark::RegisterBenchmark(name.c_str(), body)->UseRealTime()->Unit(benchmark::kMicrosecond);
  };
  for (const int32_t block_size : {kContiguous, 1, 2, 4, 8, 16, 32, 64, 128, 256}) {
    const std::string layout = block_size == kContiguous ? "contiguous" : fmt::format("blocks:{}", block_size);
    for (const int32_t context : {256, 2048}) {
      add(fmt::format("attend/llama2c-110m:{}/{}", context, layout),
          [=](benchmark::State& state) { attend_alone(state, attention_shape(12, 12, 64), block_size, context); });
      add(fmt::format("attend/llama-3-8b:{}/{}", context, layout),
          [=](benchmark::State& state) { attend_alone(state, attention_shape(32, 8, 128), block_size, context); });
    }
    add("decode/stories/" + layout, [=](benchmark::State& state) { decode(state, "", block_size); });
    add("decode/llama2c-110m/" + layout,
        [=](benchmark::State& state) { decode(state, "random:llama2c-110m", block_size); });
    add("upkeep/500 tokens/" + layout, [=](benchmark::State& state) { upkeep(state, block_size); });
  }
}

}  // namespace
}  // namespace llm

int main(int argc, char** argv) { return llm::run_benchmarks(argc, argv, llm::register_all); }
