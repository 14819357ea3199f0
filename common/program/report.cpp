#include "common/program/report.h"

#include <cmath>
#include <limits>

#include "common/program/kernel_counts.h"
#include "common/program/predict.h"

namespace llm {

namespace {
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

std::string or_blank(double value, std::string (*format)(double)) { return std::isnan(value) ? "" : format(value); }
}  // namespace

Json settings_of(const Options& options) {
  const SamplingParams& sampling = options.sampling;
  Json settings = Json::object();
  settings.set("max_tokens", options.max_tokens).set("ignore_eos", options.ignore_eos);
  settings.set("temperature", sampling.temperature).set("top_k", sampling.top_k);
  return settings.set("top_p", sampling.top_p).set("min_p", sampling.min_p);
}

Report::Report(ChapterInfo chapter, const LoadedModel& model, const Options& options)
    : chapter_(std::move(chapter)),
      model_(model),
      options_(options),
      ttft_ms_(kNone),
      tokens_per_second_(kNone),
      predicted_bytes_read_(kNone),
      table_({"", "predicted", "measured"}),
      details_(Json::object()) {
  details_.set("settings", settings_of(options));
}

void Report::add_generation(const Generation& generation, size_t kv_bytes, double predicted_ttft_ms,
                            double predicted_ms_per_token) {
  prompt_ = generation.prompt();
  token_ids_ = generation.token_ids();
  step_ms_ = generation.step_ms();
  step_passes_ = generation.step_passes();
  ttft_ms_ = generation.ttft_ms();
  tokens_per_second_ = generation.tokens_per_second();
  kv_bytes_ = static_cast<int64_t>(kv_bytes);
  Json gaps = Json::array();
  for (const float gap : generation.top_gaps()) gaps.push(static_cast<double>(gap));
  Json steps = Json::array();
  for (const double ms : step_ms_) steps.push(ms);
  details_.set("finish_reason", name_of(generation.finish_reason())).set("step_ms", steps).set("top_gaps", gaps);
  details_.set("predicted_ttft_ms", predicted_ttft_ms)
      .set("predicted_tokens_per_second", 1000.0 / predicted_ms_per_token);
  predicted_bytes_read_ = 0.0;
  for (size_t i = 0; i < token_ids_.size(); ++i) {
    predicted_bytes_read_ += count_bytes(*model_.transformer, static_cast<int64_t>(prompt_.size() + i));
  }
  add_ms("time to first token", predicted_ttft_ms, ttft_ms_);
  add_row("tokens/s after the first", or_blank(1000.0 / predicted_ms_per_token, format_rate),
          format_rate(tokens_per_second_));
}

void Report::add_ms(const std::string& what, double predicted_ms, double measured_ms) {
  add_row(what, or_blank(predicted_ms, format_ms), format_ms(measured_ms));
}

void Report::add_row(const std::string& what, const std::string& predicted, const std::string& measured) {
  table_.add({what, predicted, measured});
}

void Report::compare(const std::vector<int32_t>& reference, const std::vector<float>& top_gaps) {
  compare(reference, top_gaps, token_ids_);
}

void Report::compare(const std::vector<int32_t>& reference, const std::vector<float>& top_gaps,
                     const std::vector<int32_t>& actual) {
  comparison_ = compare_outputs(reference, top_gaps, actual, near_tie(options_.dtype));
}

void Report::count_near_ties(const std::vector<float>& top_gaps) { compare(token_ids_, top_gaps); }

int Report::finish() {
  fmt::print("\nchapter {}, {}: {} token{} after {}, {}, {} {}, threads {}, seed {}\n", chapter_.number,
             chapter_.technique, token_ids_.size(), token_ids_.size() == 1 ? "" : "s", prompt_.size(), model_.name,
             name_of(options_.device), name_of(options_.dtype), options_.threads, options_.sampling.seed);
  fmt::print("{}", table_.to_string());
  fmt::print("  same output as chapter 1: {}\n",
             chapter_.number == 1 ? describe(comparison_) + ", it is the reference" : describe(comparison_));
  if (options_.device == Device::simt) {
    fmt::print("\n{}", draw_kernel_counts(predicted_bytes_read_));
    describe_kernel_counts(predicted_bytes_read_, details_);
  }
  if (!options_.json.empty()) write_file(options_.json, to_json().dump() + "\n");
  if (!options_.trace.empty()) {
    if (!has_own_trace_) add_text_to_trace();
    trace_.write(options_.trace);
  }
  return comparison_.same ? 0 : 1;
}

Json Report::to_json() const {
  Json json = Json::object();
  json.set("chapter", chapter_.number).set("technique", chapter_.technique).set("model", model_.name);
  json.set("device", name_of(options_.device)).set("dtype", name_of(options_.dtype));
  json.set("threads", options_.threads).set("seed", static_cast<int64_t>(options_.sampling.seed));
  json.set("prompt_tokens", static_cast<int64_t>(prompt_.size()));
  json.set("prompt_token_ids", Json::integers(prompt_)).set("token_ids", Json::integers(token_ids_));
  json.set("text", model_.text(token_ids_));
  json.set("ttft_ms", ttft_ms_).set("tokens_per_second", tokens_per_second_).set("kv_bytes", kv_bytes_);
  json.set("same_output", comparison_.same).set("near_ties", comparison_.near_ties);
  if (const auto& difference = comparison_.first_difference) {
    Json first = Json::object();
    first.set("index", difference->index).set("expected", difference->expected).set("actual", difference->actual);
    json.set("first_difference", first.set("at_near_tie", difference->at_near_tie));
  } else {
    json.set_null("first_difference");
  }
  return json.set("details", details_);
}

void Report::add_text_to_trace() {
  trace_.name_row(0, fmt::format("chapter {}: {}", chapter_.number, chapter_.technique));
  double start_ms = 0.0;
  for (size_t i = 0; i < step_ms_.size(); ++i) {
    Json details = Json::object();
    if (i == 0) details.set("prompt", model_.text(prompt_));
    details.set("token_id", token_ids_[i]).set("text", model_.text({token_ids_[i]}));
    details.set("position", static_cast<int64_t>(prompt_.size() + i));
    details.set("token_passes", step_passes_[i]);
    trace_.add(0, i == 0 ? "prefill" : "decode", start_ms, step_ms_[i], details);
    start_ms += step_ms_[i];
  }
}

}  // namespace llm
