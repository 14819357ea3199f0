// Chapters 1 and 2 at the speed that matters: one token at a time, and a prompt at once. Beside them, in the same run
// and with the same threads, what bounds them: reading memory as large as the weights, and the same matrix products by
// OpenBLAS where it is found.
//
// Weights are random; every run rereads them all, and no buffer holds zeros.
#include <fmt/format.h>
#include <omp.h>

#include <map>
#include <numeric>

#ifdef LLM_HAVE_OPENBLAS
#include <cblas.h>
#endif

#include "bench/chapters/run_benchmarks.h"
#include "chapters/01_naive_generation/naive_generation.h"
#include "chapters/02_kv_cache/contiguous_kv_cache.h"
#include "common/program/loaded_model.h"
#include "common/program/machine.h"

namespace llm {
namespace {

constexpr int kContext = 64;  // tokens in the cache when the measured one comes

std::vector<int32_t> some_tokens(int64_t count, int vocab_size) {
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < count; ++i) tokens.push_back(static_cast<int32_t>((7919 * i + 13) % vocab_size));
  return tokens;
}

const Transformer& model_of(const std::string& name, DType dtype) {
  static std::map<std::pair<std::string, DType>, LoadedModel> models;
  auto& model = models[{name, dtype}];
  if (!model.transformer) model = load_model(name, dtype, Device::cpu);
  return *model.transformer;
}

// Steps of `new_tokens` tokens after `context` cached ones, with the logits of `rows`; the same step again and again.
void run_steps(benchmark::State& state, const Transformer& model, int64_t context, int64_t new_tokens,
               LogitRows rows = LogitRows::last) {
  const ModelConfig& config = model.config();
  ContiguousKvCache cache(config, context + new_tokens, 1, model.dtype());
  Batch batch(std::max(context, new_tokens), 1);
  Workspace workspace;
  const Tensor logits({new_tokens, config.vocab_size}, DType::f32);
  const auto step = [&](std::span<const int32_t> tokens, int64_t first_position) {
    batch.clear();
    batch.add(0, tokens, static_cast<int32_t>(first_position), first_position == context ? rows : LogitRows::none);
    cache.begin_step(batch);
    model.forward(batch, cache, model.ops().attend, workspace, logits.view().rows(0, batch.num_logits()));
  };
  const std::vector<int32_t> tokens = some_tokens(context + new_tokens, config.vocab_size);
  if (context > 0) step(std::span(tokens).first(static_cast<size_t>(context)), 0);
  for (auto _ : state) {
    step(std::span(tokens).subspan(static_cast<size_t>(context)), context);
    cache.truncate(0, static_cast<int32_t>(context));
    benchmark::ClobberMemory();
  }
  state.counters["tokens_per_second"] =
      benchmark::Counter(static_cast<double>(state.iterations() * new_tokens), benchmark::Counter::kIsRate);
  state.counters["bytes_per_second"] = benchmark::Counter(
      static_cast<double>(model.weights().bytes_per_step()) * static_cast<double>(state.iterations()),
      benchmark::Counter::kIsRate);
}

// The whole of chapter 1 and of chapter 2 for one story's length.
void run_naive(benchmark::State& state, const Transformer& model, int prompt_len, int max_tokens) {
  const std::vector<int32_t> prompt = some_tokens(prompt_len, model.config().vocab_size);
  for (auto _ : state) benchmark::DoNotOptimize(generate_naive(model, prompt, {max_tokens, true, {}}));
  state.counters["tokens_per_second"] =
      benchmark::Counter(static_cast<double>(state.iterations() * max_tokens), benchmark::Counter::kIsRate);
}

void read_memory(benchmark::State& state, size_t bytes) {
  ReadPass pass(bytes);
  for (auto _ : state) {
    pass.run();
    benchmark::ClobberMemory();
  }
  state.counters["bytes_per_second"] =
      benchmark::Counter(static_cast<double>(pass.numbers().nbytes()) * static_cast<double>(state.iterations()),
                         benchmark::Counter::kIsRate);
}

#ifdef LLM_HAVE_OPENBLAS
// The model's matrix products and nothing else, as a program would write them with a BLAS: rows x weightᵀ.
void run_openblas(benchmark::State& state, const ModelConfig& c, int64_t rows, int64_t logit_rows = 1) {
  openblas_set_num_threads(omp_get_max_threads());
  struct Product {
    int64_t out_features, in_features, rows;
    std::vector<float> weight;
  };
  std::vector<Product> products;
  const auto add = [&](int64_t out_features, int64_t in_features, int64_t product_rows) {
    std::vector<float> weight(static_cast<size_t>(out_features * in_features));
    for (size_t i = 0; i < weight.size(); ++i) weight[i] = 0.01f * static_cast<float>(i % 97) - 0.5f;
    products.push_back({out_features, in_features, product_rows, std::move(weight)});
  };
  for (int layer = 0; layer < c.num_layers; ++layer) {
    add(c.qkv_size(), c.hidden_size, rows);
    add(c.hidden_size, c.num_heads * c.head_dim, rows);
    add(2 * c.intermediate_size, c.hidden_size, rows);
    add(c.hidden_size, c.intermediate_size, rows);
  }
  add(c.vocab_size, c.hidden_size, logit_rows);
  const int64_t widest = std::max<int64_t>(c.vocab_size, 2 * c.intermediate_size);
  std::vector<float> x(static_cast<size_t>(rows * widest), 0.5f), out(static_cast<size_t>(rows * widest));
  for (auto _ : state) {
    for (const Product& p : products) {
      const int out_features = static_cast<int>(p.out_features), in_features = static_cast<int>(p.in_features);
      if (p.rows == 1) {
        cblas_sgemv(CblasRowMajor, CblasNoTrans, out_features, in_features, 1.0f, p.weight.data(), in_features,
                    x.data(), 1, 0.0f, out.data(), 1);
      } else {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(p.rows), out_features, in_features, 1.0f,
                    x.data(), in_features, p.weight.data(), in_features, 0.0f, out.data(), out_features);
      }
    }
    benchmark::ClobberMemory();
  }
  state.counters["tokens_per_second"] =
      benchmark::Counter(static_cast<double>(state.iterations() * rows), benchmark::Counter::kIsRate);
}
#endif

void register_model(const std::string& name, DType dtype, int64_t prefill) {
  const std::string shape = name.empty() ? "stories" : name.substr(name.find(':') + 1);
  const std::string suffix = fmt::format("/{}/{}", shape, name_of(dtype));
  const auto add = [&](const std::string& what, auto&& body) {
    benchmark::RegisterBenchmark((what + suffix).c_str(), body)->UseRealTime()->Unit(benchmark::kMillisecond);
  };
  add("decode", [=](benchmark::State& state) { run_steps(state, model_of(name, dtype), kContext, 1); });
  for (const int64_t rows : {2, 3, 4, 5, 7, 9}) {  // a draft's tokens and the one before it: chapter 6
    add(fmt::format("verify{}", rows),
        [=](benchmark::State& state) { run_steps(state, model_of(name, dtype), kContext, rows, LogitRows::all); });
  }
  add("prefill", [=](benchmark::State& state) { run_steps(state, model_of(name, dtype), 0, prefill); });
  add("read", [=](benchmark::State& state) { read_memory(state, model_of(name, dtype).weights().bytes_per_step()); });
  if (dtype != DType::f32) return;
#ifdef LLM_HAVE_OPENBLAS
  add("openblas_decode", [=](benchmark::State& state) { run_openblas(state, model_of(name, dtype).config(), 1); });
  for (const int64_t rows : {2, 3, 4, 5, 7, 9}) {
    add(fmt::format("openblas_verify{}", rows),
        [=](benchmark::State& state) { run_openblas(state, model_of(name, dtype).config(), rows, rows); });
  }
  add("openblas_prefill",
      [=](benchmark::State& state) { run_openblas(state, model_of(name, dtype).config(), prefill); });
#endif
}

void register_all() {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    register_model("", dtype, 256);
    register_model("random:llama2c-15m", dtype, 256);
    register_model("random:llama2c-110m", dtype, 256);
  }
  benchmark::RegisterBenchmark("naive_100_tokens/stories/f32",
                               [](benchmark::State& state) { run_naive(state, model_of("", DType::f32), 4, 100); })
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark("read/4GB", [](benchmark::State& state) { read_memory(state, size_t{4} << 30); })
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond);
}

}  // namespace
}  // namespace llm

int main(int argc, char** argv) { return llm::run_benchmarks(argc, argv, llm::register_all); }
