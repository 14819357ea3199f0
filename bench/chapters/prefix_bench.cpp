// What a prompt cache costs the host: to hash a prompt's blocks, to look them up, to record them and to forget them,
// beside the forward pass that a hit saves. The medians of one run are compared, so that a shared machine does no harm.
//
//     bench_prefix --benchmark_repetitions=5 --benchmark_out=bench/results/prefix.json --benchmark_out_format=json
#include <fmt/format.h>
#include <omp.h>

#include <numeric>

#include "bench/chapters/run_benchmarks.h"
#include "chapters/08_prompt_caching/prompt_service.h"

namespace llm {
namespace {

constexpr int32_t kBlockSize = 16;

std::vector<int32_t> some_prompt(int64_t length) {
  std::vector<int32_t> prompt(static_cast<size_t>(length));
  for (size_t i = 0; i < prompt.size(); ++i) prompt[i] = static_cast<int32_t>((7919 * i + 13) % 2000);
  return prompt;
}

void set_tokens(benchmark::State& state, int64_t length) {
  state.counters["tokens_per_second"] =
      benchmark::Counter(static_cast<double>(state.iterations() * length), benchmark::Counter::kIsRate);
}

void hash(benchmark::State& state, int64_t length) {
  const std::vector<int32_t> prompt = some_prompt(length);
  for (auto _ : state) {
    uint64_t parent = 0;
    for (size_t at = 0; at + kBlockSize <= prompt.size(); at += kBlockSize) {
      parent = hash_block(parent, std::span(prompt).subspan(at, kBlockSize), "tenant");
    }
    benchmark::DoNotOptimize(parent);
  }
  set_tokens(state, length);
}

// Every block is found, and its tokens compared.
void match(benchmark::State& state, int64_t length) {
  const std::vector<int32_t> prompt = some_prompt(length + 1);
  BlockPool pool(static_cast<int32_t>(length / kBlockSize) + 1);
  PrefixCache cache(pool, kBlockSize);
  std::vector<int32_t> blocks(static_cast<size_t>(pool.num_blocks()));
  std::iota(blocks.begin(), blocks.end(), 0);
  cache.record(prompt, blocks, "tenant");
  for (auto _ : state) benchmark::DoNotOptimize(cache.match(prompt, "tenant").size());
  set_tokens(state, length);
}

// Each block becomes known, and is forgotten when it is given out the next time.
void record_and_forget(benchmark::State& state, int64_t length) {
  const std::vector<int32_t> prompt = some_prompt(length);
  BlockPool pool(static_cast<int32_t>(length / kBlockSize));
  PrefixCache cache(pool, kBlockSize);
  for (auto _ : state) {
    std::vector<int32_t> blocks;
    while (const auto block = pool.allocate()) blocks.push_back(*block);
    cache.record(prompt, blocks, "tenant");
    for (const int32_t block : blocks) pool.release(block);
  }
  set_tokens(state, length);
}

// What a miss costs: the forward pass over the same tokens, of the embedded model.
void compute(benchmark::State& state, int64_t length) {
  static const LoadedModel model = load_model("", DType::f32, Device::cpu);
  const int32_t num_blocks = model.config().context_length / kBlockSize;
  PromptService service(model, {num_blocks, kBlockSize, {.token_budget = 512}}, model.transformer->ops().attend);
  const std::vector<Request> requests = {{"", some_prompt(length), {1, true, {}}}};
  for (auto _ : state) benchmark::DoNotOptimize(service.serve(requests).size());
  set_tokens(state, length);
}

void register_all() {
  const auto add = [](const std::string& name, auto&& body) {
    benchmark::RegisterBenchmark(name.c_str(), body)->UseRealTime()->Unit(benchmark::kMicrosecond);
  };
  for (const int64_t length : {448, 8192}) {
    add(fmt::format("hash/{}", length), [=](benchmark::State& state) { hash(state, length); });
    add(fmt::format("match/{}", length), [=](benchmark::State& state) { match(state, length); });
    add(fmt::format("record and forget/{}", length),
        [=](benchmark::State& state) { record_and_forget(state, length); });
  }
  add("compute/448", [](benchmark::State& state) { compute(state, 448); });
}

}  // namespace
}  // namespace llm

int main(int argc, char** argv) { return llm::run_benchmarks(argc, argv, llm::register_all); }
