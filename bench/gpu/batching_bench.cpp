// Chapter 7 on a GPU: what a batch costs at each size, schedules of one load, texts that a batch changes.
#include <fmt/format.h>

#include <chrono>

#include "bench/decode_batch.h"
#include "bench/gpu/bench_gpu.h"
#include "chapters/04_flash_attention/flash_attend.h"
#include "chapters/07_continuous_batching/alone.h"
#include "chapters/07_continuous_batching/load_generator.h"
#include "chapters/07_continuous_batching/request_file.h"
#include "chapters/07_continuous_batching/serving_options.h"
#include "chapters/07_continuous_batching/serving_run.h"

namespace llm {

namespace {

// Milliseconds of each of several steps.
Json time_steps(const GpuBench& bench, DecodeBatch& batch) {
  std::vector<double> ms;
  for (int i = 0; i < (bench.quick ? 2 : 25); ++i) {
    const auto begin = std::chrono::steady_clock::now();
    batch.run();
    ms.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
  }
  return summary(ms);
}

ServingSetup make_setup(const LoadedModel& loaded, AttendFn attend, std::vector<Request> requests, int max_running) {
  ServingOptions serving;
  serving.max_running = max_running;
  serving.token_budget = 512;
  const PagedKvCacheSize size = serving.cache_size(requests, loaded.config().context_length);
  return {loaded, std::move(requests), serving.scheduler_params(), size, attend};
}

std::vector<Request> make_requests(const GpuBench& bench, const LoadedModel& loaded, uint64_t seed) {
  LoadParams load{.num_requests = bench.quick ? 4 : 64, .arrival_rate = 0.0};
  load.prompt_mean = bench.quick ? 3.0 : std::min(128.0, loaded.config().context_length / 8.0);
  load.output_mean = bench.quick ? 3.0 : std::min(128.0, loaded.config().context_length / 4.0);
  load.params = {.max_tokens = bench.quick ? 6 : 512, .ignore_eos = true, .sampling = {.seed = seed}};
  return make_load(load, loaded.config());
}

// The same requests in each schedule, all there at once; the second run of each counts, with everything warm.
void bench_schedules(GpuBench& bench, const LoadedModel& loaded, AttendFn attend) {
  const int max_running = bench.quick ? 2 : 16;
  const ServingSetup setup = make_setup(loaded, attend, make_requests(bench, loaded, 0), max_running);
  constexpr std::pair<const char*, Schedule> kSchedules[] = {{"static", Schedule::static_padded},
                                                             {"static_skipping", Schedule::static_skipping},
                                                             {"continuous", Schedule::continuous}};
  std::optional<ServingRun> run;
  for (const auto& [name, schedule] : kSchedules) {
    for (int i = 0; i < 2; ++i) run.emplace(setup, schedule);
    Json row = row_of(loaded);
    row.set("schedule", name).set("requests", std::ssize(setup.requests)).set("num_slots", max_running);
    bench.add("serving", row.set("run", describe_metrics(run->metrics)));
  }
  const OneByOne alone(*loaded.transformer, attend, run->engine.sequences());
  Json row = row_of(loaded);
  row.set("schedule", "one_by_one").set("requests", std::ssize(setup.requests)).set("num_slots", 1);
  bench.add("serving", row.set("run", Json::object().set("tokens_per_second", alone.tokens_per_second())));
}

Json describe_choice(const LoadedModel& loaded, const Generation& text, size_t index) {
  Json choice = Json::object();
  choice.set("token_id", text.token_ids()[index]).set("text", loaded.text({text.token_ids()[index]}));
  return choice.set("lead", static_cast<double>(text.top_gaps()[index]));
}

// Looks for a text that says something else in a batch than alone. The row tells the first one that was found, and how
// many there were among how many.
void find_flip(GpuBench& bench, const LoadedModel& loaded, AttendFn attend) {
  const int max_running = bench.quick ? 4 : 16, num_rounds = bench.quick ? 1 : 3;
  int64_t num_texts = 0, num_changed = 0, num_tokens = 0;
  Json example = Json::object();
  for (int round = 0; round < num_rounds; ++round) {
    const auto seed = static_cast<uint64_t>(round + 1);
    const ServingSetup setup = make_setup(loaded, attend, make_requests(bench, loaded, seed), max_running);
    const ServingRun run(setup, Schedule::continuous);
    const OneByOne alone(*loaded.transformer, attend, run.engine.sequences());
    for (const Sequence& s : run.engine.sequences()) {
      const Generation& text = *alone.texts[static_cast<size_t>(s.id)];
      const Comparison comparison = compare_alone(text, s, near_tie(loaded.transformer->dtype()));
      require(comparison.same, "{}: request {} {}", loaded.name, s.request.id, describe(comparison));
      ++num_texts;
      num_tokens += std::ssize(text.token_ids());
      if (!comparison.first_difference || num_changed++ > 0) continue;
      const auto index = static_cast<size_t>(comparison.first_difference->index);
      example.set("seed", static_cast<int64_t>(seed)).set("request", s.request.id);
      example.set("prompt_token_ids", Json::integers(s.request.prompt)).set("index", static_cast<int64_t>(index));
      example.set("alone", describe_choice(loaded, text, index));
      example.set("in_batch", describe_choice(loaded, s.generation, index));
    }
  }
  Json row = row_of(loaded);
  row.set("num_slots", max_running).set("texts", num_texts).set("tokens", num_tokens).set("changed", num_changed);
  num_changed > 0 ? row.set("example", example) : row.set_null("example");
  bench.add("batch_flips", row);
}

}  // namespace

void bench_batch_sizes(GpuBench& bench, const std::string& name, DType dtype) {
  const LoadedModel loaded = load_model(name, dtype, bench.device);
  const Transformer& model = *loaded.transformer;
  const int32_t context = bench.quick ? 5 : std::min(512, model.config().context_length / 2);
  for (const int32_t batch_size : bench.quick ? std::vector{1, 3} : std::vector{1, 2, 4, 8, 16, 32, 64}) {
    DecodeBatch batch(model, flash_attend(bench.device), batch_size, context);
    const Json ms = time_steps(bench, batch);
    const StepCost cost = batch.cost();
    Json row = row_of(loaded);
    row.set("batch_size", batch_size).set("context_len", context).set("flops", cost.flops).set("bytes", cost.bytes);
    row.set("intensity", cost.intensity()).set("step_ms", ms);
    bench.add("batch_sizes", row.set("tokens_per_second", 1000.0 * batch_size / median_of(ms)));
  }
}

void bench_batching(GpuBench& bench, const std::string& name, DType dtype) {
  const LoadedModel loaded = load_model(name, dtype, bench.device);
  const AttendFn attend = flash_attend(bench.device);
  bench_schedules(bench, loaded, attend);
  find_flip(bench, loaded, attend);
}

void bench_requests(GpuBench& bench, const std::string& name, DType dtype, const std::filesystem::path& requests) {
  const LoadedModel loaded = load_model(name, dtype, bench.device);
  const ServingSetup setup =
      make_setup(loaded, flash_attend(bench.device), read_requests(requests, loaded, {}), bench.quick ? 4 : 32);
  std::vector<double> rates;
  std::optional<ServingRun> run;
  for (int i = 0; i < (bench.quick ? 2 : 4); ++i) {
    run.emplace(setup, Schedule::continuous);
    if (i > 0) rates.push_back(run->metrics.tokens_per_second());  // the first warms up
  }
  if (rates.size() == 1) rates.push_back(rates.front());
  Json texts = Json::object();
  for (const Sequence& s : run->engine.sequences()) texts.set(s.request.id, Json::integers(s.generation.token_ids()));
  Json row = row_of(loaded);
  row.set("num_slots", setup.params.max_running).set("tokens_per_second", summary(rates));
  bench.add("requests", row.set("preemptions", run->metrics.preemptions).set("token_ids", texts));
}

}  // namespace llm
