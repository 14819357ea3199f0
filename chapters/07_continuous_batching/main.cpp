// Chapter 7, continuous batching: who takes part is decided anew at every step.
//
// Read docs/07-continuous-batching.md beside this file.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "chapters/01_naive_generation/reference.h"
#include "chapters/07_continuous_batching/alone.h"
#include "chapters/07_continuous_batching/request_file.h"
#include "chapters/07_continuous_batching/serving_metrics.h"
#include "chapters/07_continuous_batching/serving_options.h"
#include "chapters/07_continuous_batching/serving_output.h"
#include "chapters/07_continuous_batching/serving_predictions.h"
#include "chapters/07_continuous_batching/static_scheduler.h"
#include "common/program/program.h"
#include "common/program/report.h"
#include "common/program/token_stream.h"

namespace llm {
namespace {

constexpr int32_t kNoCap = INT32_MAX;

// What all runs have in common: the same requests, the same model, as many slots and blocks.
struct Setup {
  const LoadedModel& model;
  std::vector<Request> requests;  // in order of arrival
  SchedulerParams params;
  PagedKvCacheSize cache_size;

  const Transformer& transformer() const { return *model.transformer; }
  AttendFn attend() const { return transformer().ops().attend; }
};

enum class Kind { continuous, static_padded, static_skipping };

// A run from the first request's arrival to the last one's end.
struct Served {
  PagedKvCache cache;
  std::unique_ptr<Scheduler> scheduler;
  Engine engine;
  ServingMetrics metrics = {};

  Served(const Setup& s, Kind kind, const Engine::OnToken& on_token = {})
      : cache(s.model.config(), s.cache_size, s.transformer().dtype(), s.transformer().device()),
        scheduler(make_scheduler(s, kind)),
        engine(s.model, cache, *scheduler, s.attend(), nullptr, on_token) {
    for (const Request& request : s.requests) engine.submit(request);
    while (engine.step()) {
    }
    metrics = measure(engine, s.params.max_running);
  }

  std::unique_ptr<Scheduler> make_scheduler(const Setup& s, Kind kind) {
    if (kind == Kind::continuous) return std::make_unique<Scheduler>(s.params, cache);
    const Padding padding = kind == Kind::static_padded ? Padding::computed : Padding::skipped;
    return std::make_unique<StaticScheduler>(s.params, cache, padding);
  }
};

// Prompts of a quarter of the context, so that a chunk is less than all of most.
Json sweep(Setup setup, LoadParams load) {
  load.prompt_mean = setup.model.config().context_length / 4.0;
  setup.requests = make_load(load, setup.model.config());
  Table table({"budget", "chunk", "steps", "tokens/s", "first token, p50", "p99", "between tokens, p50", "p99"});
  Json rows = Json::array();
  for (const int32_t budget : {16, 32, 64, 128, 256, 512}) {
    for (const int32_t chunk : {8, 32, 128, kNoCap}) {
      if (chunk != kNoCap && chunk >= budget) continue;
      setup.params.token_budget = budget;
      setup.params.max_chunk = chunk;
      const ServingMetrics m = Served(setup, Kind::continuous).metrics;
      table.add({format_count(budget), chunk == kNoCap ? "any" : format_count(chunk), format_count(m.steps),
                 format_rate(m.tokens_per_second()), format_ms(percentile(m.ttft_ms, 50)),
                 format_ms(percentile(m.ttft_ms, 99)), format_ms(percentile(m.itl_ms, 50)),
                 format_ms(percentile(m.itl_ms, 99))});
      Json row = Json::object();
      row.set("token_budget", budget);
      chunk == kNoCap ? row.set_null("max_chunk") : row.set("max_chunk", chunk);
      rows.push(row.set("run", describe_metrics(m)));
    }
  }
  fmt::print("\nbudgets and chunks, prompts of {:.0f} tokens in the mean:\n{}", load.prompt_mean, table.to_string());
  return rows;
}

std::vector<Request> choose_requests(const LoadedModel& model, const Options& options, const ServingOptions& serving,
                                     const LoadParams& load) {
  if (!serving.requests.empty()) return read_requests(serving.requests, model, load.params);
  std::vector<Request> requests = make_load(load, model.config());
  requests.insert(requests.begin(), {"prompt", prompt_token_ids(model, options), load.params});
  return requests;
}

// Where nobody says how many blocks: half of what the slots take with the longest text in each. Most are shorter.
PagedKvCacheSize choose_size(const ServingOptions& serving, const std::vector<Request>& requests, int32_t context) {
  int64_t longest = 1;
  for (const Request& r : requests) {
    longest = std::max<int64_t>(longest, std::min<int64_t>(std::ssize(r.prompt) + r.params.max_tokens, context));
  }
  const int64_t blocks = (longest + serving.block_size - 1) / serving.block_size;
  const int64_t half = std::max(blocks, (blocks * serving.max_running + 1) / 2);
  return {serving.num_blocks > 0 ? serving.num_blocks : static_cast<int32_t>(half), serving.block_size, context,
          serving.max_running};
}

// The text of the first request, which is what --prompt asks for.
void add_first_text(Report& report, const Setup& s, const Options& options, const ServingOptions& serving,
                    const Served& run, const MachineRates& rates) {
  const Sequence& first = run.engine.sequences().front();
  double first_ms = 0.0, later_ms = 0.0, bytes = 0.0;
  for (const StepRecord& record : run.engine.log()) {
    const StepCost cost = cost_of(s.transformer(), record);
    bytes += cost.bytes;
    for (const StepRecord::Part& part : record.parts) {
      if (part.sequence_id != first.id) continue;
      (part.context_len <= std::ssize(first.request.prompt) ? first_ms : later_ms) += predict_step_ms(cost, rates);
    }
  }
  const std::vector<int32_t>& ids = first.generation.token_ids();
  report.add_generation(first.generation, run.cache.nbytes(), first_ms,
                        later_ms / static_cast<double>(std::ssize(ids) - 1));
  report.set_predicted_bytes_read(bytes);
  if (first.generation.finish_reason() == FinishReason::rejected) return;
  Options own = options;
  if (!serving.requests.empty()) own.reference.clear();  // it is for --prompt
  ReferenceOutput naive = reference_output(s.model, own, first.request.prompt, first.request.params);
  if (first.output.stopped() || first.generation.finish_reason() == FinishReason::cancelled) {
    naive.token_ids.resize(std::min(naive.token_ids.size(), ids.size()));  // it was cut short
    naive.top_gaps.resize(naive.token_ids.size());
  }
  report.compare(naive.token_ids, naive.top_gaps);
}

void add_run(Report& report, const std::string& name, const Setup& s, const Served& run, Kind kind,
             const MachineRates& rates) {
  const std::vector<Job> jobs = jobs_of(run.engine);
  const SchedulePrediction steps = kind == Kind::continuous ? predict_continuous(jobs, s.params.max_running)
                                                            : predict_static(jobs, s.params.max_running);
  const double rate = predict_tokens_per_second(s.transformer(), run.engine, rates);
  report.add_row("steps, " + name, format_count(steps.steps), format_count(run.metrics.steps));
  report.add_row("tokens/s, " + name, std::isnan(rate) ? "" : format_rate(rate),
                 format_rate(run.metrics.tokens_per_second()));
  Json json = describe_metrics(run.metrics);
  report.details().set(name, json.set("predicted_steps", steps.steps).set("predicted_tokens_per_second", rate));
}

void write_outputs(const ServingOptions& serving, const Engine& engine) {
  if (!serving.results.empty()) write_file(serving.results, describe_results(engine));
  if (!serving.step_log.empty()) write_file(serving.step_log, describe_steps(engine));
}

int run(int argc, const char* const* argv) {
  ServingOptions serving;
  LoadParams load;
  int num_others = -1;
  OptionParser parser("chapter_07", "Chapter 7, continuous batching: who takes part is decided anew at every step.");
  CommandLine& line = parser.command_line();
  serving.add_to(line);
  line.add("--num-requests", &num_others, -1, 1 << 20, "how many come beside --prompt; -1: 31, on simt 3");
  line.add("--prompt-mean", &load.prompt_mean, 1.0, 1e6, "mean number of tokens in their prompts");
  line.add("--output-mean", &load.output_mean, 1.0, 1e6, "mean number of tokens that they ask for");
  line.add("--arrival-rate", &load.arrival_rate, 0.0, 1e6, "how many arrive in a step; 0: all at once");
  const Options options = parser.parse(argc, argv);
  serving.check();
  const bool simt = options.device == Device::simt;
  load.num_requests = num_others >= 0 ? num_others : simt ? 3 : 31;
  load.params = {options.max_tokens, options.ignore_eos, options.sampling};
  const LoadedModel loaded = load_model(options);
  std::vector<Request> requests = choose_requests(loaded, options, serving, load);
  const PagedKvCacheSize size = choose_size(serving, requests, loaded.config().context_length);
  const Setup setup{loaded, std::move(requests), serving.scheduler_params(), size};

  // The run whose text, results and trace are shown; then the others, on the very same requests.
  const bool continuous_first = serving.scheduler == "continuous";
  TokenStream stream(loaded, setup.requests.front().prompt);
  const auto show = [&](const Sequence& s, int32_t token) {
    if (s.id == 0) stream.push(token);
  };
  const Served shown(setup, continuous_first ? Kind::continuous : Kind::static_padded, show);
  stream.finish();
  write_outputs(serving, shown.engine);
  const Served other(setup, continuous_first ? Kind::static_padded : Kind::continuous);
  const Served &continuous = continuous_first ? shown : other, &padded = continuous_first ? other : shown;
  const Served skipping(setup, Kind::static_skipping);
  const OneByOne alone(setup.transformer(), setup.attend(), shown.engine.sequences());

  fmt::print("\n{} requests, letter: prompt + most new tokens @ step of arrival; {} blocks of {}\n{}",
             setup.requests.size(), size.num_blocks, size.block_size, list_arrivals(shown.engine));
  const int64_t columns = 72, longest = std::max(padded.metrics.steps, continuous.metrics.steps);
  const int64_t per_column = (longest + columns - 1) / columns;
  for (const Served* run : {&padded, &continuous}) {
    fmt::print("\nwho is in which slot, {} steps a letter, {}:\n{}", per_column,
               run == &padded ? "static" : "continuous", draw_slots(run->engine, size.max_seqs, per_column));
  }
  const std::pair<std::string, ServingMetrics> columns_of_table[] = {
      {"static", padded.metrics}, {"without padding", skipping.metrics}, {"continuous", continuous.metrics}};
  fmt::print("\n{}", draw_metrics(columns_of_table, alone.tokens_per_second()));

  Report report({7, "continuous batching"}, loaded, options);
  const MachineRates rates = measure_rates(setup.transformer());
  add_first_text(report, setup, options, serving, shown, rates);
  add_run(report, "static", setup, padded, Kind::static_padded, rates);
  add_run(report, "static_skipping", setup, skipping, Kind::static_skipping, rates);
  add_run(report, "continuous", setup, continuous, Kind::continuous, rates);
  SameTexts total;
  for (const Served* run : {&padded, &skipping, &continuous}) {
    const SameTexts same = compare_all(alone, run->engine.sequences(), near_tie(options.dtype));
    total.num_same += same.num_same;
    total.num_compared += same.num_compared;
    total.num_at_near_ties += same.num_at_near_ties;
    if (total.first_that_differs.empty()) total.first_that_differs = same.first_that_differs;
  }
  report.add_row("requests that say what they say alone", format_count(total.num_compared),
                 format_count(total.num_same));
  if (!total.all()) fmt::print("\n{}\n", total.first_that_differs);
  report.details()
      .set("one_by_one", Json::object().set("tokens_per_second", alone.tokens_per_second()))
      .set("requests", std::ssize(setup.requests))
      .set("requests_same_output", total.all())
      .set("requests_at_near_ties", total.num_at_near_ties);
  report.set_trace(trace_slots(shown.engine, size.max_seqs));
  if (options.sweep) report.details().set("sweep", sweep(setup, load));
  return std::max(report.finish(), total.all() ? 0 : 1);
}

}  // namespace
}  // namespace llm

int main(int argc, char** argv) {
  return llm::run_program([&] { return llm::run(argc, argv); });
}
