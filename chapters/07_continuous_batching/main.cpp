// Chapter 7, continuous batching: who takes part is decided anew at every step.
//
// Read docs/07-continuous-batching.md beside this file.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "chapters/01_naive_generation/reference.h"
#include "chapters/07_continuous_batching/alone.h"
#include "chapters/07_continuous_batching/request_file.h"
#include "chapters/07_continuous_batching/serving_options.h"
#include "chapters/07_continuous_batching/serving_output.h"
#include "chapters/07_continuous_batching/serving_predictions.h"
#include "chapters/07_continuous_batching/serving_run.h"
#include "common/program/program.h"
#include "common/program/report.h"
#include "common/program/token_stream.h"

namespace llm {
namespace {

constexpr int32_t kNoCap = INT32_MAX;

// Prompts of a quarter of the context, so that a chunk is less than all of most.
Json sweep(ServingSetup setup, LoadParams load) {
  load.prompt_mean = setup.model.config().context_length / 4.0;
  setup.requests = make_load(load, setup.model.config());
  Table table({"budget", "chunk", "steps", "tokens/s", "first token, p50", "p99", "between tokens, p50", "p99"});
  Json rows = Json::array();
  for (const int32_t budget : {16, 32, 64, 128, 256, 512}) {
    for (const int32_t chunk : {8, 32, 128, kNoCap}) {
      if (chunk != kNoCap && chunk >= budget) continue;
      setup.params.token_budget = budget;
      setup.params.max_chunk = chunk;
      const ServingMetrics m = ServingRun(setup, Schedule::continuous).metrics;
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

// The text of the first request, which is what --prompt asks for.
void add_first_text(Report& report, const ServingSetup& s, const Options& options, const ServingOptions& serving,
                    const ServingRun& run, const MachineRates& rates) {
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

// Three runs of the very same requests, and the requests one by one.
struct Runs {
  const ServingRun &padded, &skipping, &continuous;
  const OneByOne& alone;

  struct Named {
    const char *key, *title;  // in --json and on the screen
    Schedule schedule;
    const ServingRun& run;
  };
  std::array<Named, 3> all() const {
    return {{{"static", "static", Schedule::static_padded, padded},
             {"static_skipping", "padding skipped", Schedule::static_skipping, skipping},
             {"continuous", "continuous", Schedule::continuous, continuous}}};
  }
};

void show_runs(const ServingSetup& s, const Runs& runs) {
  fmt::print("\n{} requests, letter: prompt + most new tokens @ step of arrival; {} blocks of {}\n{}",
             s.requests.size(), s.cache_size.num_blocks, s.cache_size.block_size, list_arrivals(runs.padded.engine));
  constexpr int64_t kColumns = 72;
  const int64_t longest = std::max(runs.padded.metrics.steps, runs.continuous.metrics.steps);
  const int64_t per_column = std::max<int64_t>(1, (longest + kColumns - 1) / kColumns);
  std::vector<std::pair<std::string, ServingMetrics>> columns;
  for (const Runs::Named& named : runs.all()) {
    columns.emplace_back(named.title, named.run.metrics);
    if (named.schedule == Schedule::static_skipping) continue;  // the same slots
    fmt::print("\nwho is in which slot, steps to a letter: {}, {}:\n{}", per_column, named.title,
               draw_slots(named.run.engine, s.params.max_running, per_column));
  }
  fmt::print("\n{}", draw_metrics(columns, runs.alone.tokens_per_second()));
}

void add_run(Report& report, const Runs::Named& named, const ServingSetup& s, const MachineRates& rates) {
  const ServingRun& run = named.run;
  const std::vector<Job> jobs = jobs_of(run.engine);
  const SchedulePrediction steps = named.schedule == Schedule::continuous
                                       ? predict_continuous(jobs, s.params.max_running)
                                       : predict_static(jobs, s.params.max_running);
  const double rate = predict_tokens_per_second(s.transformer(), run.engine, rates);
  report.add_row(fmt::format("steps, {}", named.title), format_count(steps.steps), format_count(run.metrics.steps));
  report.add_row(fmt::format("tokens/s, {}", named.title), std::isnan(rate) ? "" : format_rate(rate),
                 format_rate(run.metrics.tokens_per_second()));
  Json json = describe_metrics(run.metrics);
  json.set("predicted_steps", steps.steps).set("predicted_tokens_per_second", rate);
  json.set("busy_slots", Json::integers(run.metrics.busy_slots));
  report.details().set(named.key, json);
}

// Every text of every run must be what it is alone. Prints the first that is not.
bool add_comparison(Report& report, const Runs& runs, float tolerance) {
  int64_t num_same = 0, num_compared = 0, num_at_near_ties = 0;
  for (const Runs::Named& named : runs.all()) {
    const SameTexts same = compare_all(runs.alone, named.run.engine.sequences(), tolerance);
    if (!same.all() && num_same == num_compared) fmt::print("\n{}: {}\n", named.title, same.first_that_differs);
    num_same += same.num_same;
    num_compared += same.num_compared;
    num_at_near_ties += same.num_at_near_ties;
  }
  report.add_row("requests that say what they say alone", format_count(num_compared), format_count(num_same));
  report.details().set("requests_same_output", num_same == num_compared);
  report.details().set("requests_at_near_ties", num_at_near_ties);
  return num_same == num_compared;
}

struct Flags {
  Options options;
  ServingOptions serving;
  LoadParams load;
};

Flags parse_flags(int argc, const char* const* argv) {
  Flags flags;
  LoadParams& load = flags.load;
  load.num_requests = 31;
  OptionParser parser("chapter_07", "Chapter 7, continuous batching: who takes part is decided anew at every step.");
  CommandLine& line = parser.command_line();
  flags.serving.add_to(line);
  line.add("--num-requests", &load.num_requests, 0, 1 << 20, "how many come beside --prompt; left out: 3 on simt");
  line.add("--prompt-mean", &load.prompt_mean, 1.0, 1e6, "mean number of tokens in their prompts");
  line.add("--output-mean", &load.output_mean, 1.0, 1e6, "mean number of tokens that they ask for");
  line.add("--arrival-rate", &load.arrival_rate, 0.0, 1e6, "how many arrive in a step; 0: all at once");
  flags.options = parser.parse(argc, argv);
  flags.serving.check();
  for (const char* prompt : {"--prompt", "--prompt-file", "--tokens"}) {
    if (line.given("--requests") && line.given(prompt)) {
      fail_input("--requests and {} exclude each other; give one of them", prompt);
    }
  }
  if (flags.serving.prefix_cache == "on") fail_input("--prefix-cache on is what chapter 8 adds; leave it out here");
  if (flags.options.device == Device::simt) {  // slow: a smaller scene, in which somebody still has to wait
    if (!line.given("--num-requests")) load.num_requests = 3;
    if (!line.given("--output-mean")) load.output_mean = 8.0;
    if (!line.given("--max-running")) flags.serving.max_running = 2;
  }
  load.params = {flags.options.max_tokens, flags.options.ignore_eos, flags.options.sampling};
  return flags;
}

int run(int argc, const char* const* argv) {
  const auto [options, serving, load] = parse_flags(argc, argv);
  const LoadedModel loaded = load_model(options);
  const std::vector<Request> requests = choose_requests(loaded, options, serving, load);
  const ServingSetup setup{loaded, requests, serving.scheduler_params(),
                           serving.cache_size(requests, loaded.config().context_length),
                           loaded.transformer->ops().attend};

  // The run whose text, results and trace are shown; then the others.
  const bool continuous_first = serving.scheduler == "continuous";
  TokenStream stream(loaded, requests.front().prompt);
  const auto show = [&](const Sequence& s, int32_t token) {
    if (s.id == 0) stream.push(token);
  };
  const ServingRun shown(setup, continuous_first ? Schedule::continuous : Schedule::static_padded, show);
  stream.finish();
  if (!serving.results.empty()) write_file(serving.results, describe_results(shown.engine));
  if (!serving.step_log.empty()) write_file(serving.step_log, describe_steps(shown.engine));
  const ServingRun other(setup, continuous_first ? Schedule::static_padded : Schedule::continuous);
  const ServingRun skipping(setup, Schedule::static_skipping);
  const OneByOne alone(setup.transformer(), setup.attend, shown.engine.sequences());
  const Runs runs{continuous_first ? other : shown, skipping, continuous_first ? shown : other, alone};
  show_runs(setup, runs);

  Report report({7, "continuous batching"}, loaded, options);
  const MachineRates rates = measure_rates(setup.transformer());
  add_first_text(report, setup, options, serving, shown, rates);
  for (const Runs::Named& named : runs.all()) add_run(report, named, setup, rates);
  report.details().set("one_by_one", Json::object().set("tokens_per_second", alone.tokens_per_second()));
  report.details().set("requests", std::ssize(requests)).set("num_slots", setup.params.max_running);
  report.details().set("block_size", setup.cache_size.block_size).set("num_blocks", setup.cache_size.num_blocks);
  const bool all_same = add_comparison(report, runs, near_tie(options.dtype));
  report.set_trace(trace_slots(shown.engine, setup.params.max_running));
  if (options.sweep) report.details().set("sweep", sweep(setup, load));
  return std::max(report.finish(), all_same ? 0 : 1);
}

}  // namespace
}  // namespace llm

int main(int argc, char** argv) {
  return llm::run_program([&] { return llm::run(argc, argv); });
}
