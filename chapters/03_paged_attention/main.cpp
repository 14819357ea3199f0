// Chapter 3, paged attention: keys and values in small blocks, given out as a text grows and shared where texts agree.
//
// Read docs/03-paged-attention.md beside this file.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>

#include "chapters/01_naive_generation/reference.h"
#include "chapters/02_kv_cache/cached_generation.h"
#include "chapters/02_kv_cache/contiguous_kv_cache.h"
#include "chapters/03_paged_attention/block_trace.h"
#include "chapters/03_paged_attention/budget_run.h"
#include "chapters/03_paged_attention/parallel_samples.h"
#include "common/program/program.h"
#include "common/program/report.h"
#include "common/program/token_stream.h"

namespace llm {
namespace {

constexpr int32_t kNumRequests = 24;
constexpr int32_t kLongestInBudget = 4;
constexpr double kSampleTemperature = 0.8;

struct PagedOptions {
  int block_size = 16;
  int samples = 8;
  double kv_budget = 0.0;  // MB; 0: room for kLongestInBudget texts of the greatest length
};

// What the runs of this program have in common.
struct Setup {
  const Options& options;
  const Transformer& model;
  std::vector<int32_t> prompt;
  int32_t block_size;
  int32_t max_length;  // of a text: prompt and --max-tokens, or the model's context
  int64_t bytes_per_token;

  GenerationParams params() const { return {options.max_tokens, options.ignore_eos, options.sampling}; }
};

int64_t round_up(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

// How many tokens both caches may hold in the run with a budget.
int64_t budget_slots(const Setup& setup, double megabytes) {
  const int64_t longest = round_up(setup.max_length, setup.block_size);
  if (megabytes == 0.0) return kLongestInBudget * longest;
  const double slots = std::floor(megabytes * 1e6 / static_cast<double>(setup.bytes_per_token));
  if (slots < static_cast<double>(longest)) {
    fail_input(
        "--kv-budget is {} MB, but a text of {} tokens takes {} in blocks of {}; give more, or a smaller "
        "--max-tokens",
        megabytes, setup.max_length, format_bytes(static_cast<double>(longest * setup.bytes_per_token)),
        setup.block_size);
  }
  // More than all requests can fill is never touched.
  return std::min(static_cast<int64_t>(slots), kNumRequests * longest);
}

// ---- many requests in one budget ----

// The program's own prompt, again and again; how long the answer may be is drawn for each. So each text must be how
// chapter 1's begins.
std::vector<Text> make_requests(const Setup& setup) {
  std::mt19937_64 random(setup.options.sampling.seed);
  std::vector<Text> requests;
  for (int32_t id = 0; id < kNumRequests; ++id) {
    GenerationParams params = setup.params();
    const auto most = static_cast<uint64_t>(setup.max_length - std::ssize(setup.prompt));
    params.max_tokens = 1 + static_cast<int>(random() % most);
    requests.push_back({id, Generation(setup.prompt, setup.model.config(), params)});
  }
  return requests;
}

// How many of the requests said what chapter 1 says, as far as they were let.
int64_t count_same(const BudgetRun& run, const ReferenceOutput& naive, DType dtype) {
  return std::ranges::count_if(run.requests, [&](const Text& request) {
    const std::vector<int32_t>& actual = request.generation.token_ids();
    const bool cut = request.generation.finish_reason() == FinishReason::length;
    const auto length = static_cast<long>(std::min(naive.token_ids.size(), cut ? actual.size() : SIZE_MAX));
    const std::vector<int32_t> expected(naive.token_ids.begin(), naive.token_ids.begin() + length);
    const std::vector<float> gaps(naive.top_gaps.begin(), naive.top_gaps.begin() + length);
    return compare_outputs(expected, gaps, actual, near_tie(dtype)).same;
  });
}

// How many texts fit at once where each takes so many slots in the mean.
std::string format_at_once(double slots_per_text, int64_t num_slots) {
  return format_rate(std::min(static_cast<double>(num_slots) / slots_per_text, double{kNumRequests}));
}

// The figures of the budget, at the moment when blocks take the most.
void add_budget(Report& report, const Setup& setup, int64_t num_slots, const BudgetRun& contiguous,
                const BudgetRun& paged) {
  const double held = mean_tokens_held(paged.requests);
  const double contiguous_share = predict_used_share_contiguous(held, setup.max_length);
  const double paged_share = predict_used_share_paged(held, setup.block_size);
  report.add_row("used of the reserved, contiguous", format_share(contiguous_share),
                 format_share(contiguous.used_share()));
  report.add_row("used of the reserved, paged", format_share(paged_share), format_share(paged.used_share()));
  report.add_row("texts at once while others wait, contiguous",
                 format_at_once(setup.max_length, num_slots / setup.max_length * setup.max_length),
                 format_rate(contiguous.mean_at_once()));
  report.add_row("texts at once while others wait, paged", format_at_once(held / paged_share, num_slots),
                 format_rate(paged.mean_at_once()));
  const MemoryUse peak = paged.peak();
  report.details()
      .set("bytes_reserved_contiguous", peak.num_sequences * setup.max_length * setup.bytes_per_token)
      .set("bytes_reserved_paged", static_cast<int64_t>(peak.bytes_reserved))
      .set("bytes_used", static_cast<int64_t>(peak.bytes_used))
      .set("kv_budget_bytes", num_slots * setup.bytes_per_token)
      .set("contiguous", describe_run(contiguous, contiguous_share))
      .set("paged", describe_run(paged, paged_share));
}

// ---- samples that share a prompt ----

struct Samples {
  std::unique_ptr<PagedKvCache> cache;  // which still holds them all
  std::vector<Text> sequences;
  double temperature;

  int64_t prompt_len() const { return std::ssize(sequences.front().generation.prompt()); }
  std::vector<int64_t> lengths() const {
    std::vector<int64_t> lengths;
    for (const Text& sample : sequences) lengths.push_back(sample.num_computed_tokens);
    return lengths;
  }
};

std::unique_ptr<PagedKvCache> make_cache(const Setup& setup, int64_t num_blocks, int32_t block_size, int32_t max_seqs) {
  const PagedKvCacheSize size{static_cast<int32_t>(num_blocks), block_size, setup.max_length, max_seqs};
  return std::make_unique<PagedKvCache>(setup.model.config(), size, setup.model.dtype(), setup.model.device());
}

Samples run_samples(const Setup& setup, const std::vector<int32_t>& prompt, int num_samples, BlockTrace trace) {
  GenerationParams params = setup.params();
  if (params.sampling.temperature == 0.0) params.sampling.temperature = kSampleTemperature;  // else all would be alike
  params.max_tokens = std::min(params.max_tokens, setup.max_length - static_cast<int>(prompt.size()));
  const std::vector<int64_t> longest(static_cast<size_t>(num_samples), setup.max_length);
  const int64_t num_blocks = count_shared_blocks(std::ssize(prompt), longest, setup.block_size);
  Samples samples{make_cache(setup, num_blocks, setup.block_size, num_samples), {}, params.sampling.temperature};
  const auto on_step = [&](std::span<Text* const> running) { trace.add_step(*samples.cache, running); };
  samples.sequences = generate_samples(setup.model, *samples.cache, prompt, params, num_samples, on_step);
  return samples;
}

void add_samples(Report& report, const std::string& what, const Setup& setup, const Samples& samples) {
  const std::vector<int64_t> lengths = samples.lengths();
  int64_t unshared = 0;
  for (const int64_t length : lengths) unshared += round_up(length, setup.block_size) / setup.block_size;
  const int64_t num_blocks = samples.cache->pool().num_used(), num_copied = samples.cache->blocks_copied();
  const int64_t predicted = count_shared_blocks(samples.prompt_len(), lengths, setup.block_size);
  const int64_t predicted_copied = count_copied_blocks(samples.prompt_len(), lengths, setup.block_size);
  report.add_row(fmt::format("{} {}: blocks, {} if unshared", lengths.size(), what, unshared), format_count(predicted),
                 format_count(num_blocks));
  report.add_row("  blocks copied on write", format_count(predicted_copied), format_count(num_copied));
  Json json = Json::object();
  json.set("count", std::ssize(lengths)).set("prompt_tokens", samples.prompt_len());
  json.set("temperature", samples.temperature).set("blocks_unshared", unshared).set("blocks", num_blocks);
  report.details().set(what, json.set("predicted_blocks", predicted).set("blocks_copied", num_copied));
}

// ---- all block sizes ----

Json sweep_block_sizes(const Setup& setup, int64_t num_slots, double contiguous_ms) {
  Json sweep = Json::array();
  Table table({"block size", "used of the reserved", "predicted", "texts at once", "steps", "decode time"});
  for (int32_t block_size = 1; block_size <= 256; block_size *= 2) {
    const int64_t longest = round_up(setup.max_length, block_size);
    const BudgetRun run =
        run_paged(setup.model, make_requests(setup), std::max(num_slots, longest), setup.max_length, block_size);
    const auto cache = make_cache(setup, longest / block_size, block_size, 1);
    const double ms =
        median_decode_ms(generate_cached(setup.model, *cache, setup.model.ops().attend, setup.prompt, setup.params()));
    const double predicted = predict_used_share_paged(mean_tokens_held(run.requests), block_size);
    table.add({format_count(block_size), format_share(run.used_share()), format_share(predicted),
               format_count(run.most_at_once()), format_count(std::ssize(run.steps)),
               format_ratio(ms / contiguous_ms)});
    Json row = Json::object();
    row.set("block_size", block_size).set("decode_time_ratio", ms / contiguous_ms);
    sweep.push(row.set("run", describe_run(run, predicted)));
  }
  fmt::print("\nblock sizes, with the same requests and budget; decode time against contiguous:\n{}",
             table.to_string());
  return sweep;
}

// ---- the program ----

int run(int argc, const char* const* argv) {
  PagedOptions paged;
  OptionParser parser("chapter_03",
                      "Chapter 3, paged attention: keys and values in blocks, given out as a text grows.");
  parser.command_line().add("--block-size", &paged.block_size, 1, 256, "tokens in a block, a power of two");
  parser.command_line().add("--samples", &paged.samples, 1, 256, "how many answers share the prompt's blocks");
  parser.command_line().add("--kv-budget", &paged.kv_budget, 0.0, 1e6,
                            "MB of KV memory for many requests; 0: room for four of the longest");
  const Options options = parser.parse(argc, argv);
  check_block_size(paged.block_size);
  const LoadedModel loaded = load_model(options);
  const Transformer& model = *loaded.transformer;
  const ModelConfig& config = model.config();
  const std::vector<int32_t> prompt = prompt_token_ids(loaded, options);
  const int64_t prompt_len = std::ssize(prompt), longest = prompt_len + options.max_tokens;
  const Setup setup{options,
                    model,
                    prompt,
                    paged.block_size,
                    static_cast<int32_t>(std::min<int64_t>(config.context_length, longest)),
                    config.kv_bytes_per_token(size_of(options.dtype))};
  const int64_t num_slots = budget_slots(setup, paged.kv_budget);

  // One text out of blocks; and again from a contiguous cache, to compare the time.
  const auto cache =
      make_cache(setup, round_up(setup.max_length, paged.block_size) / paged.block_size, paged.block_size, 1);
  TokenStream stream(loaded, prompt);
  const Generation generation = generate_cached(model, *cache, model.ops().attend, prompt, setup.params(),
                                                [&](int32_t token) { stream.push(token); });
  stream.finish();
  ContiguousKvCache stretch(config, setup.max_length, 1, options.dtype, options.device);
  const double contiguous_ms =
      median_decode_ms(generate_cached(model, stretch, model.ops().attend, prompt, setup.params()));
  const ReferenceOutput naive = reference_output(loaded, options, prompt, setup.params());

  Report report({3, "paged attention"}, loaded, options);
  // Samples of the prompt, and of a longer one: other endings of the text from its middle on.
  const Samples samples =
      run_samples(setup, prompt, paged.samples, BlockTrace(report.trace(), 1, "samples of the prompt", loaded));
  const std::vector<int32_t>& text = generation.all();
  const Samples endings = run_samples(setup, {text.begin(), text.begin() + std::ssize(text) / 2}, paged.samples,
                                      BlockTrace(report.trace(), 2, "other endings of the text", loaded));
  const BudgetRun contiguous_run = run_contiguous(model, make_requests(setup), num_slots, setup.max_length);
  const BudgetRun paged_run = run_paged(model, make_requests(setup), num_slots, setup.max_length, paged.block_size);

  const auto budget = static_cast<size_t>(num_slots * setup.bytes_per_token);
  fmt::print("\n{}", draw_budget(budget, contiguous_run, paged_run));
  fmt::print("\nblock tables of {} other endings, block×owners where one is shared:\n{}", paged.samples,
             draw_block_tables(*endings.cache, endings.sequences));

  const MachineRates rates = measure_rates(model);
  const int64_t generated = std::ssize(generation.token_ids());
  report.add_generation(generation, cache->bytes_reserved(), predict_pass_ms(model, rates, prompt_len, prompt_len),
                        predict_decode_ms(model, rates, prompt_len, generated));
  const double time_ratio = median_decode_ms(generation) / contiguous_ms;
  report.add_row("decode time against contiguous", format_ratio(1.0), format_ratio(time_ratio));
  report.add_row("blocks of the text", format_count(cache->num_blocks_for(cache->length(0))),
                 format_count(cache->pool().num_used()));
  report.details().set("block_size", paged.block_size).set("decode_time_ratio", time_ratio);
  report.details().set("block_table", Json::integers(cache->block_table(0)));
  add_budget(report, setup, num_slots, contiguous_run, paged_run);
  report.details().set("blocks_copied", samples.cache->blocks_copied());
  add_samples(report, "samples", setup, samples);
  add_samples(report, "endings", setup, endings);
  const int64_t num_same =
      count_same(contiguous_run, naive, options.dtype) + count_same(paged_run, naive, options.dtype);
  report.add_row("requests that say what chapter 1 says", format_count(2 * kNumRequests), format_count(num_same));
  report.details().set("requests", kNumRequests).set("requests_same_output", num_same == 2 * kNumRequests);
  if (options.sweep) report.details().set("sweep", sweep_block_sizes(setup, num_slots, contiguous_ms));
  report.compare(naive.token_ids, naive.top_gaps);
  return std::max(report.finish(), num_same == 2 * kNumRequests ? 0 : 1);
}

}  // namespace
}  // namespace llm

int main(int argc, char** argv) {
  return llm::run_program([&] { return llm::run(argc, argv); });
}
