// Chapter 8, prompt caching: prompts that begin alike are computed once.
//
// Read docs/08-prompt-caching.md beside this file.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "chapters/01_naive_generation/reference.h"
#include "chapters/02_kv_cache/cached_generation.h"
#include "chapters/07_continuous_batching/request_file.h"
#include "chapters/07_continuous_batching/serving_options.h"
#include "chapters/07_continuous_batching/serving_output.h"
#include "chapters/08_prompt_caching/load_comparison.h"
#include "chapters/08_prompt_caching/spoiled_prompts.h"
#include "chapters/08_prompt_caching/ttft_probe.h"
#include "chapters/08_prompt_caching/ttft_view.h"
#include "common/program/program.h"
#include "common/program/report.h"
#include "common/program/token_stream.h"

namespace llm {
namespace {

constexpr int kLoadLength = 512, kSimtLoadLength = 36;
constexpr int kTextsInCache = 4;  // of the loads' greatest length: too few for all, so that some are evicted
constexpr int kProbeAnswer = 12, kProbeRuns = 5, kCachedPercent = 90;  // of the long prompt
constexpr CachePrice kHourPrice = {2.0, 0.1}, kFreeWrites = {1.0, 0.1};

struct PromptOptions {
  ServingOptions serving;
  std::string cache_mode = "automatic", compare;
  std::filesystem::path compare_file;
  double ttl = 300.0, think_time = 60.0;  // seconds
  int min_prompt = 0, load_length = 0;    // tokens; 0: a block; as the device allows
  CachePrice price;

  void add_to(CommandLine& line) {
    serving.prefix_cache = "on";
    serving.token_budget = kLoadLength;
    serving.add_to(line);
    line.add("--cache-mode", &cache_mode, {"automatic", "breakpoints"}, "what of a prompt: all, or up to breakpoints");
    line.add("--ttl", &ttl, 1.0, 1e9, "seconds for which a prompt is kept that nobody reads");
    line.add("--think-time", &think_time, 0.0, 1e9, "seconds that pass between two turns of a chat");
    line.add("--min-prompt", &min_prompt, 0, 1 << 20, "tokens below which a prompt is not cached; 0: one block");
    line.add("--write-price", &price.write, 0.0, 100.0, "of a token that is written to the cache; a fresh one costs 1");
    line.add("--read-price", &price.read, 0.0, 0.99, "of a token that is read from the cache");
    line.add("--load-length", &load_length, 0, 1 << 20, "tokens of the longest text among the loads");
    line.add("--compare", &compare, "show where this prompt parts from --prompt, and run nothing");
    line.add("--compare-file", &compare_file, "the same with the prompt in this file");
  }
};

// What all runs of this program have in common.
struct Setup {
  const Options& options;
  const PromptOptions& prompt_options;
  const LoadedModel& loaded;
  const std::vector<int32_t>& prompt;

  const Transformer& model() const { return *loaded.transformer; }
  int32_t load_length() const {
    const int asked = prompt_options.load_length;
    const int most = asked > 0 ? asked : options.device == Device::simt ? kSimtLoadLength : kLoadLength;
    return static_cast<int32_t>(std::min(most, loaded.config().context_length));
  }
};

// ---- two prompts ----

int compare_two(const PromptOptions& prompt_options, const Options& options, const LoadedModel& loaded) {
  if (!loaded.tokenizer) fail_input("--compare is text, but {} has no tokenizer; give another --model", loaded.name);
  const std::string first = options.prompt_file.empty() ? options.prompt : read_file(options.prompt_file);
  const std::string second =
      prompt_options.compare_file.empty() ? prompt_options.compare : read_file(prompt_options.compare_file);
  fmt::print("{}", draw_comparison(compare_prompts(*loaded.tokenizer, first, second, prompt_options.serving.block_size),
                                   *loaded.tokenizer));
  return 0;
}

// ---- one long prompt, cold and warm ----

void add_probe(Report& report, const Setup& setup, const MachineRates& rates, const TtftProbe& probe) {
  const auto predict = [&](int64_t new_tokens) {
    return predict_pass_ms(setup.model(), rates, new_tokens, probe.prompt_tokens);
  };
  const int64_t new_tokens = probe.prompt_tokens - probe.cached_tokens;
  const double cold_ms = predict(probe.prompt_tokens), warm_ms = predict(new_tokens);
  report.add_ms(fmt::format("first token after {} tokens, cold", probe.prompt_tokens), cold_ms, median(probe.cold_ms));
  report.add_ms(fmt::format("  {} of them cached", probe.cached_tokens), warm_ms, median(probe.warm_ms));
  report.add_row(fmt::format("  sooner by; at most {}",
                             format_ratio(static_cast<double>(probe.prompt_tokens) / static_cast<double>(new_tokens))),
                 format_ratio(cold_ms / warm_ms), format_ratio(probe.ttft_ratio()));
  report.add_row("  time of a token after it, warm through cold", format_ratio(1.0),
                 format_ratio(probe.decode_ratio()));
  report.details()
      .set("ttft_ms_cold", median(probe.cold_ms))
      .set("ttft_ms_warm", median(probe.warm_ms))
      .set("ttft_ratio", probe.ttft_ratio())
      .set("ttft_ratio_predicted", cold_ms / warm_ms)
      .set("decode_time_ratio", probe.decode_ratio())
      .set("probe_prompt_tokens", probe.prompt_tokens)
      .set("probe_cached_tokens", probe.cached_tokens);
}

// ---- the loads ----

void add_loads(Report& report, const Setup& setup, const std::vector<LoadComparison>& loads) {
  const CachePrice& price = setup.prompt_options.price;
  const LoadComparison sum = sum_of(loads);
  const CacheUsage& usage = sum.usage;
  const int64_t bytes_per_token = setup.loaded.config().kv_bytes_per_token(size_of(setup.options.dtype));
  report.add_row(fmt::format("cached of {} prompt tokens", format_count(usage.prompt_tokens())),
                 setup.prompt_options.cache_mode == "automatic" ? format_count(sum.predicted_cached_tokens) : "",
                 format_count(usage.cached_tokens));
  report.add_row("  written, fresh", "",
                 fmt::format("{}, {}", format_count(usage.written_tokens), format_count(usage.fresh_tokens)));
  report.add_row("  hit rate", "", format_share(sum.hit_rate()));
  report.add_row("  keys and values not computed again", "",
                 format_bytes(static_cast<double>(usage.cached_tokens * bytes_per_token)));
  report.add_row("  blocks evicted", "", format_count(sum.num_evicted));
  report.add_row("  prompts too short to be cached", "", format_count(sum.num_too_short));
  report.add_row(fmt::format("price, no cache 100%: write {}, read {}", price.write, price.read), "",
                 format_share(sum.relative_cost(price)));
  report.add_row("  kept for an hour: write 2, read 0.1", "", format_share(sum.relative_cost(kHourPrice)));
  report.add_row("  nothing for writing: write 1, read 0.1", "", format_share(sum.relative_cost(kFreeWrites)));
  report.add_row("warm answers that say what the cold ones say", format_count(sum.num_requests),
                 format_count(sum.num_same));
  Json list = Json::array();
  for (const LoadComparison& load : loads) list.push(describe_load(load, price));
  report.details()
      .set("cached_tokens", usage.cached_tokens)
      .set("written_tokens", usage.written_tokens)
      .set("fresh_tokens", usage.fresh_tokens)
      .set("prompt_tokens", usage.prompt_tokens())
      .set("predicted_cached_tokens", sum.predicted_cached_tokens)
      .set("hit_rate", sum.hit_rate())
      .set("bytes_not_computed", usage.cached_tokens * bytes_per_token)
      .set("evictions", sum.num_evicted)
      .set("requests_too_short", sum.num_too_short)
      .set("requests", sum.num_requests)
      .set("requests_same_output", sum.num_same == sum.num_requests)
      .set("price", sum.relative_cost(price))
      .set("price_of_an_hour", sum.relative_cost(kHourPrice))
      .set("price_with_free_writes", sum.relative_cost(kFreeWrites))
      .set("loads", list);
}

// ---- all of it ----

struct Services {
  std::unique_ptr<PromptService> cold, warm;
};

Services start_services(const Setup& setup, const SecondsClock& clock, Engine::OnToken on_token) {
  const PromptOptions& asked = setup.prompt_options;
  const int32_t block_size = asked.serving.block_size;
  const auto blocks_of = [&](int64_t tokens) { return static_cast<int32_t>((tokens + block_size - 1) / block_size); };
  const int64_t text = std::ssize(setup.prompt) + setup.options.max_tokens;
  const int32_t longest =
      blocks_of(std::min<int64_t>(std::max<int64_t>(text, setup.load_length()), setup.loaded.config().context_length));
  const int num_blocks = asked.serving.num_blocks;
  if (num_blocks > 0 && num_blocks < longest) {
    fail_input("--num-blocks is {}, but the longest text takes {} blocks of {} tokens; give as many or more",
               num_blocks, longest, block_size);
  }
  ServiceParams params{num_blocks > 0 ? num_blocks : std::max(longest, kTextsInCache * blocks_of(setup.load_length())),
                       block_size, asked.serving.scheduler_params(), std::nullopt, clock};
  const AttendFn attend = setup.model().ops().attend;
  Services services;
  services.cold = std::make_unique<PromptService>(setup.loaded, params, attend);
  if (asked.serving.prefix_cache == "on") {
    params.rules = CacheRules{.automatic = asked.cache_mode == "automatic",
                              .min_tokens = asked.min_prompt == 0 ? block_size : asked.min_prompt,
                              .ttl_seconds = asked.ttl,
                              .price = asked.price};
  }
  services.warm = std::make_unique<PromptService>(setup.loaded, params, attend, std::move(on_token));
  return services;
}

std::vector<LoadComparison> run_loads(const Setup& setup, Services& services, const std::function<void()>& pause) {
  std::vector<LoadComparison> results;
  const ServingOptions& serving = setup.prompt_options.serving;
  if (!serving.requests.empty()) {
    const GenerationParams params{setup.options.max_tokens, setup.options.ignore_eos, setup.options.sampling};
    ServedTexts texts;
    results.emplace_back().name = serving.requests.filename().string();
    compare_requests(read_requests(serving.requests, setup.loaded, params), *services.cold, *services.warm, texts,
                     results.back());
    return results;
  }
  for (const AssistantLoad& load : make_assistant_loads(setup.loaded, setup.load_length())) {
    results.push_back(compare_load(load, *services.cold, *services.warm, pause));
  }
  return results;
}

// Warm and cold say the same, and prompts were found where there were some to find; says what is wrong.
bool is_right(const Setup& setup, const std::vector<TtftProbe>& probes, const std::vector<LoadComparison>& loads) {
  const LoadComparison sum = sum_of(loads);
  const bool same = std::ranges::all_of(probes, &TtftProbe::same) && sum.num_same == sum.num_requests;
  const bool found = sum.usage.cached_tokens > 0 || sum.predicted_cached_tokens == 0 ||
                     setup.prompt_options.serving.prefix_cache == "off";
  if (!same) fmt::print("\na warm answer is another one than the cold one\n");
  if (!found)
    fmt::print("\nnothing was found in the cache, though {} tokens had been computed before\n",
               format_count(sum.predicted_cached_tokens));
  return same && found;
}

int run(int argc, const char* const* argv) {
  PromptOptions prompt_options;
  OptionParser parser("chapter_08", "Chapter 8, prompt caching: prompts that begin alike are computed once.");
  prompt_options.add_to(parser.command_line());
  const Options options = parser.parse(argc, argv);
  prompt_options.serving.check();
  if (prompt_options.serving.scheduler == "static") {
    fail_input("--scheduler is static, but a static batch has no prompt cache; leave it out, or run chapter 7");
  }
  const LoadedModel loaded = load_model(options);
  if (!prompt_options.compare.empty() || !prompt_options.compare_file.empty()) {
    return compare_two(prompt_options, options, loaded);
  }
  const std::vector<int32_t> prompt = prompt_token_ids(loaded, options);
  const GenerationParams params{options.max_tokens, options.ignore_eos, options.sampling};
  const Setup setup{options, prompt_options, loaded, prompt};

  // The text comes first: sequence 0 of the warm service.
  TokenStream stream(loaded, prompt);
  double now = 0.0;
  Services services = start_services(
      setup, [&now] { return now; },
      [&](const Sequence& sequence, int32_t token) {
        if (sequence.id == 0) stream.push(token);
      });
  const Generation& generation = services.warm->serve({{"text", prompt, params}}).front()->generation;
  stream.finish();
  const size_t kv_bytes = static_cast<size_t>(services.warm->cache().num_blocks_for(generation.all().size() - 1)) *
                          services.warm->cache().block_nbytes();
  const ReferenceOutput naive = reference_output(loaded, options, prompt, params);

  const int32_t probe_len = std::max(2, setup.load_length() - kProbeAnswer);
  const int probe_runs = options.device == Device::simt ? 1 : kProbeRuns;
  std::vector<TtftProbe> probes;
  const auto add_probe_of = [&](int percent) {
    probes.push_back(probe_ttft(loaded, *services.cold, *services.warm, probe_len, probe_len * percent / 100,
                                kProbeAnswer, probe_runs));
  };
  add_probe_of(kCachedPercent);
  const std::vector<LoadComparison> loads = run_loads(setup, services, [&] { now += prompt_options.think_time; });
  const int32_t block_size = prompt_options.serving.block_size;
  if (loaded.tokenizer) {
    fmt::print("\nwhat keeps a prompt from being found, blocks of {} tokens:\n{}", block_size,
               draw_spoiled_prompts(spoiled_prompts(*loaded.tokenizer, block_size)));
  }
  fmt::print("\nloads served from {} blocks of {} tokens, cold and warm:\n{}",
             services.warm->cache().pool().num_blocks(), prompt_options.serving.block_size,
             draw_loads(loads, prompt_options.price));

  Report report({8, "prompt caching"}, loaded, options);
  const MachineRates rates = measure_rates(setup.model());
  const int64_t prompt_len = std::ssize(prompt), generated = std::ssize(generation.token_ids());
  report.add_generation(generation, kv_bytes, predict_pass_ms(setup.model(), rates, prompt_len, prompt_len),
                        predict_decode_ms(setup.model(), rates, prompt_len, generated));
  report.details().set("block_size", prompt_options.serving.block_size);
  report.details().set("num_blocks", services.warm->cache().pool().num_blocks());
  report.details().set("prefix_cache", prompt_options.serving.prefix_cache);
  add_probe(report, setup, rates, probes.front());
  add_loads(report, setup, loads);
  if (options.sweep) {
    for (const int percent : {0, 10, 25, 50, 75, 97}) add_probe_of(percent);
    std::ranges::sort(probes, {}, &TtftProbe::cached_tokens);
    fmt::print("\ntime to first token, more and more of the prompt cached:\n{}",
               draw_cached_shares(setup.model(), rates, probes));
    report.details().set("sweep", describe_cached_shares(setup.model(), rates, probes));
  }
  report.compare(naive.token_ids, naive.top_gaps);
  const int code = report.finish();
  const ServingOptions& serving = prompt_options.serving;
  if (!serving.results.empty()) write_file(serving.results, describe_results(services.warm->engine()));
  if (!serving.step_log.empty()) write_file(serving.step_log, describe_steps(services.warm->engine()));
  return std::max(code, is_right(setup, probes, loads) ? 0 : 1);
}

}  // namespace
}  // namespace llm

int main(int argc, char** argv) {
  return llm::run_program([&] { return llm::run(argc, argv); });
}
