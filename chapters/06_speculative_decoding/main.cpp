// Chapter 6, speculative decoding: somebody cheap drafts some tokens, the model verifies them all in one pass.
//
// Read docs/06-speculative-decoding.md beside this file.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "chapters/01_naive_generation/reference.h"
#include "chapters/02_kv_cache/cached_generation.h"
#include "chapters/02_kv_cache/contiguous_kv_cache.h"
#include "chapters/06_speculative_decoding/distribution_check.h"
#include "chapters/06_speculative_decoding/formulas.h"
#include "chapters/06_speculative_decoding/measure_speedup.h"
#include "chapters/06_speculative_decoding/model_drafter.h"
#include "chapters/06_speculative_decoding/ngram_drafter.h"
#include "chapters/06_speculative_decoding/predict_rounds.h"
#include "chapters/06_speculative_decoding/round_view.h"
#include "chapters/06_speculative_decoding/shared_vocabulary.h"
#include "chapters/06_speculative_decoding/speedup_sweep.h"
#include "chapters/06_speculative_decoding/speedup_view.h"
#include "common/program/program.h"
#include "common/program/report.h"

namespace llm {
namespace {

constexpr int kLongestDraft = 8;  // of those that are compared
constexpr size_t kRoundsShown = 10;
constexpr double kMeasureSeconds = 3.0;

struct SpeculativeOptions {
  std::string drafter, draft_model, draft_dtype = "bf16", color = "auto";
  int k = 3, max_n = 3;
};

// What the runs of this program have in common.
struct Setup {
  const Options& options;
  const SpeculativeOptions& speculative;
  LoadedModel target, draft;  // draft.transformer is null where no model drafts
  std::vector<int32_t> prompt;
  int draft_threads;

  const Transformer& model() const { return *target.transformer; }
  GenerationParams params() const { return {options.max_tokens, options.ignore_eos, options.sampling}; }
  GenerationParams greedy_params() const {
    GenerationParams greedy = params();
    greedy.sampling = {};
    return greedy;
  }
};

OwnedDrafter make_drafter(const Setup& setup, const std::string& drafter, int64_t prompt_tokens, int64_t num_seqs) {
  if (drafter != "model") {
    return {nullptr, std::make_unique<NgramDrafter>(drafter == "ngram" ? setup.speculative.max_n : 0)};
  }
  const Transformer& draft = *setup.draft.transformer;
  const auto longest = std::min<int64_t>(draft.config().context_length, prompt_tokens + setup.options.max_tokens);
  auto memory = std::make_unique<ContiguousKvCache>(draft.config(), longest, num_seqs, draft.dtype(), draft.device());
  auto model_drafter = std::make_unique<ModelDrafter>(draft, *memory, draft.ops().attend, prompt_tokens + 2 * num_seqs,
                                                      num_seqs, setup.draft_threads);
  return {std::move(memory), std::move(model_drafter)};
}

SpeedupProblem problem_of(const Setup& setup, const std::string& drafter) {
  const auto make = [&setup, drafter](int64_t prompt_tokens, int64_t num_seqs) {
    return make_drafter(setup, drafter, prompt_tokens, num_seqs);
  };
  return {setup.model(), make, {setup.prompt}, setup.greedy_params()};
}

Setup load(const Options& options, SpeculativeOptions& speculative) {
  Setup setup{options, speculative, load_model(options), {}, {}, options.threads};
  if (speculative.drafter.empty()) {
    const bool has_draft = !speculative.draft_model.empty() || options.model.empty();
    speculative.drafter = has_draft ? "model" : "ngram";
  }
  if (speculative.drafter != "model" && !speculative.draft_model.empty()) {
    fail_input("--draft-model is {}, but --draft is {}; leave one of them out", speculative.draft_model,
               speculative.drafter);
  }
  if (speculative.drafter == "model") {
    if (speculative.draft_model.empty() && !options.model.empty()) {
      fail_input("--draft is model, but --draft-model is missing; give a small model with the vocabulary of {}",
                 options.model);
    }
    const bool embedded = speculative.draft_model.empty();
    const std::string asked = embedded ? embedded_folder("models/stories-draft").string() : speculative.draft_model;
    const DType dtype = speculative.draft_dtype == "bf16" ? DType::bf16 : DType::f32;
    setup.draft = load_model(asked, dtype, options.device, "--draft-model");
    if (embedded) setup.draft.name = "models/stories-draft";
    check_shared_vocabulary(setup.target, setup.draft);
    setup.draft_threads = faster_num_threads(*setup.draft.transformer);
  }
  setup.prompt = prompt_token_ids(setup.target, options);
  return setup;
}

// ---- speed ----

// The k that was asked for first: where time is short, it is measured alone. So it is with random weights, which agree
// on nothing.
std::vector<int> drafts_to_measure(const Setup& setup) {
  std::vector<int> ks = {setup.speculative.k};
  for (int k = 1; k <= kLongestDraft && setup.target.tokenizer; ++k) {
    if (k != ks.front()) ks.push_back(k);
  }
  return ks;
}

// Random weights agree on nothing, so a coin accepts. What a round takes is real.
Json measure_simulated(const Setup& setup) {
  Json all = Json::array();
  Table table({"simulated acceptance", "k", "tokens a round", "predicted", "c", "v", "speed-up", "predicted"});
  for (const double alpha : {0.6, 0.7, 0.8}) {
    SpeedupProblem problem = problem_of(setup, setup.speculative.drafter);
    problem.simulated_alpha = alpha;
    for (const MeasuredSpeedup& row : measure_speedups(problem, {setup.speculative.k}, kMeasureSeconds / 6.0)) {
      const double tokens = expected_tokens(alpha, row.k), predicted = expected_speedup(alpha, row.k, row.c, row.v);
      table.add({format_rate(alpha), format_count(row.k), format_rate(row.counts.tokens_per_round()),
                 format_rate(tokens), format_rate(row.c), format_rate(row.v), format_ratio(row.measured),
                 format_ratio(predicted)});
      Json json = Json::object();
      json.set("acceptance", alpha).set("k", row.k).set("tokens_per_round", row.counts.tokens_per_round());
      json.set("cost_ratio", row.c).set("verify_ratio", row.v).set("speedup", row.measured);
      all.push(json.set("speedup_predicted", predicted));
    }
  }
  fmt::print("\nrandom weights agree on nothing: speed with simulated acceptance\n{}", table.to_string());
  return all;
}

Json sweep(const Setup& setup, const std::vector<int32_t>& text) {
  std::vector<std::string> drafters;
  if (setup.draft.transformer) drafters.push_back("model");
  drafters.push_back("ngram");
  const auto problem = [&](const std::string& drafter) {
    SpeedupProblem sampled = problem_of(setup, drafter);
    sampled.params.sampling = setup.options.sampling;
    sampled.params.max_tokens = std::min(64, setup.options.max_tokens);
    return sampled;
  };
  const std::vector<SweptSpeedups> swept = sweep_speedups(problem, drafters, text);
  fmt::print("\nwhere it stops paying: against the same texts without drafts\n{}", draw_sweep(swept));
  return describe_sweep(swept);
}

// ---- what must not change ----

std::vector<float> logits_after(const Transformer& model, const std::vector<int32_t>& prompt) {
  ContiguousKvCache cache(model.config(), std::ssize(prompt), 1, model.dtype(), model.device());
  Batch batch(std::ssize(prompt), 1, model.device());
  batch.add(0, prompt, 0, LogitRows::last);
  require(cache.begin_step(batch), "the cache is smaller than the prompt");
  StepRunner runner(model, model.ops().attend);
  const Tensor logits = to_host(runner.run(batch, cache));
  const auto* const row = logits.view().as<float>();
  return {row, row + logits.view().numel()};
}

// The token after the prompt, drawn as a round draws it, many times. False: it does not follow the distribution.
bool add_sampling_check(Report& report, const Setup& setup) {
  SamplingParams params = setup.options.sampling;
  if (params.temperature == 0.0) params.temperature = 1.0;
  Sampler sampler(params);
  const OwnedDrafter owned = make_drafter(setup, setup.speculative.drafter, std::ssize(setup.prompt), 1);
  const DraftRequest request{0, setup.prompt, 1, sampler};
  const Draft draft = owned.drafter->draft({&request, 1}).front();
  if (draft.tokens.empty()) return true;
  const std::vector<double> p = token_distribution(logits_after(setup.model(), setup.prompt), params);
  const int64_t num_draws = std::clamp<int64_t>(40'000'000 / std::ssize(p), 1'000, 20'000);
  const DistributionCheck check = check_distribution(p, draft, num_draws, sampler);
  report.add_row(fmt::format("{} draws at temperature {}, distance", format_count(num_draws), params.temperature),
                 fmt::format("below {:.4f}", check.limit), fmt::format("{:.4f}", check.distance));
  report.details().set("distribution_distance", check.distance).set("distribution_limit", check.limit);
  return check.distance <= check.limit;
}

void add_counts(Report& report, const Setup& setup, const RoundCounts& counts) {
  const int k = setup.speculative.k;
  const bool drafted = counts.drafted > 0;
  report.add_row("tokens a round", drafted ? format_rate(expected_tokens(counts.acceptance(), k)) : "",
                 format_rate(counts.tokens_per_round()));
  report.add_row("drafted, of these accepted", "", fmt::format("{}, {}", counts.drafted, counts.accepted));
  Json shares = Json::array();
  for (const double share : counts.acceptance_by_position()) shares.push(share);
  report.details()
      .set("drafter", setup.speculative.drafter)
      .set("draft_model", setup.draft.name)
      .set("k", k)
      .set("draft_threads", setup.draft_threads)
      .set("drafted", counts.drafted)
      .set("accepted", counts.accepted)
      .set("rounds", counts.rounds)
      .set("tokens_per_round", counts.tokens_per_round())
      .set("acceptance", counts.acceptance())
      .set("acceptance_by_position", shares);
}

// Greedy, with drafts of all lengths; the fields are those of the fastest. False: a text is not chapter 1's.
bool add_speedups(Report& report, const Setup& setup, const ReferenceOutput& naive) {
  const bool measurable =
      setup.options.device != Device::simt && setup.speculative.drafter != "none" && naive.token_ids.size() > 1;
  std::vector<MeasuredSpeedup> rows;
  if (measurable) {
    rows = measure_speedups(problem_of(setup, setup.speculative.drafter), drafts_to_measure(setup), kMeasureSeconds);
    std::ranges::sort(rows, {}, &MeasuredSpeedup::k);
    fmt::print("\ngreedy, against chapter 2 in the same process; c and v in its steps:\n{}", draw_speedups(rows));
  }
  const MeasuredSpeedup none{.counts = {}, .token_ids = {}};
  const auto best = std::ranges::max_element(rows, {}, &MeasuredSpeedup::measured);
  const MeasuredSpeedup& fastest = rows.empty() ? none : *best;
  report.add_row(
      rows.empty() ? "speed-up against chapter 2" : fmt::format("speed-up against chapter 2, k = {}", fastest.k),
      std::isnan(fastest.predicted) ? "" : format_ratio(fastest.predicted), format_ratio(fastest.measured));
  report.details()
      .set("best_k", fastest.k)
      .set("cost_ratio", fastest.c)
      .set("verify_ratio", fastest.v)
      .set("speedup", fastest.measured)
      .set("speedup_predicted", fastest.predicted)
      .set("by_k", describe_speedups(rows));
  return std::ranges::all_of(rows, [&](const MeasuredSpeedup& row) {
    return compare_outputs(naive.token_ids, naive.top_gaps, row.token_ids[0], near_tie(setup.options.dtype)).same;
  });
}

bool use_color(const std::string& color) {
  return color == "always" || (color == "auto" && isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr);
}

int run(int argc, const char* const* argv) {
  SpeculativeOptions speculative;
  OptionParser parser("chapter_06", "Chapter 6, speculative decoding: draft some tokens, verify them in one pass.");
  CommandLine& line = parser.command_line();
  line.add("--draft", &speculative.drafter, {"model", "ngram", "none"},
           "who drafts: a small model, or what stood earlier in the text; left out: a model where there is one");
  line.add("--draft-model", &speculative.draft_model,
           "the small model: a Hugging Face folder or random:NAME; left out with --model: models/stories-draft");
  line.add("--draft-dtype", &speculative.draft_dtype, {"f32", "bf16"}, "the draft model's number format");
  line.add("--k", &speculative.k, 1, 64, "how many tokens to draft at most");
  line.add("--ngram", &speculative.max_n, 1, 64, "how many last tokens a lookup compares at most");
  line.add("--color", &speculative.color, {"auto", "always", "never"}, "auto: where the output is a terminal");
  const Options options = parser.parse(argc, argv);
  const Setup setup = load(options, speculative);
  const Transformer& model = setup.model();
  const int64_t prompt_len = std::ssize(setup.prompt);

  // The text, round by round.
  const int64_t max_length = std::min<int64_t>(model.config().context_length, prompt_len + options.max_tokens);
  ContiguousKvCache cache(model.config(), max_length, 1, options.dtype, options.device);
  const OwnedDrafter owned = make_drafter(setup, speculative.drafter, prompt_len, 1);
  RoundStream stream(setup.target, setup.prompt, use_color(speculative.color));
  const SpeculativeSequence text =
      generate_speculative(model, cache, model.ops().attend, *owned.drafter, setup.prompt, setup.params(),
                           speculative.k, [&](const Round& round) { stream.push(round); });
  stream.finish();
  const RoundCounts counts = count_rounds(text.rounds);
  fmt::print("\nthe first rounds:\n{}", draw_rounds(setup.target, text.rounds, kRoundsShown));
  fmt::print("\naccepted, by position in the draft:\n{}", draw_acceptance(counts));

  // Chapter 1's text. One that was drawn differs from chapter 1's: then a greedy one is compared.
  const bool greedy = options.sampling.temperature == 0.0;
  Options reference_options = options;
  if (!greedy) reference_options.reference.clear();
  const ReferenceOutput naive = reference_output(setup.target, reference_options, setup.prompt, setup.greedy_params());
  const std::vector<int32_t> compared =
      greedy ? text.generation.token_ids()
             : run_speculative(problem_of(setup, speculative.drafter), speculative.k).texts[0].generation.token_ids();

  Report report({6, "speculative decoding"}, setup.target, options);
  const MachineRates rates = measure_rates(model);
  report.add_generation(text.generation, cache.nbytes() + (owned.memory ? owned.memory->nbytes() : 0),
                        predict_pass_ms(model, rates, prompt_len, prompt_len),
                        predict_token_ms(model, setup.draft.transformer.get(), rates, text));
  report.set_predicted_bytes_read(count_round_bytes(model, setup.draft.transformer.get(), text));
  add_counts(report, setup, counts);
  trace_rounds(report.trace(), 1, setup.target, text.generation, text.rounds);
  const bool all_same = add_speedups(report, setup, naive);
  if (!setup.target.tokenizer && options.device != Device::simt) {
    report.details().set("simulated", measure_simulated(setup));
  }
  if (options.sweep) report.details().set("sweep", sweep(setup, naive.token_ids));
  const bool honest = add_sampling_check(report, setup);
  if (!greedy) report.add_row("compared with chapter 1", "", "a greedy text");
  report.compare(naive.token_ids, naive.top_gaps, compared);
  return std::max(report.finish(), all_same && honest ? 0 : 1);
}

}  // namespace
}  // namespace llm

int main(int argc, char** argv) {
  return llm::run_program([&] { return llm::run(argc, argv); });
}
