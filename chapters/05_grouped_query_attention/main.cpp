// Chapter 5, grouped-query attention: heads share keys and values, so that there are fewer to keep and to read.
//
// Read docs/05-grouped-query-attention.md beside this file.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "chapters/02_kv_cache/cached_generation.h"
#include "chapters/05_grouped_query_attention/attention_table.h"
#include "chapters/05_grouped_query_attention/convert_folder.h"
#include "chapters/05_grouped_query_attention/eval_text.h"
#include "chapters/05_grouped_query_attention/known_models.h"
#include "chapters/05_grouped_query_attention/variant_run.h"
#include "common/program/program.h"
#include "common/program/report.h"

namespace llm {
namespace {

constexpr int64_t kTextsInBudget = 4;  // of the greatest length, with a KV head for each head

struct GroupedOptions {
  std::filesystem::path convert;  // the folder to write; empty: none
  int kv_heads = 0;               // 0: not given
  std::string pooling = "mean";
  std::filesystem::path text;  // to score; empty: models/eval/stories.txt
  int documents = 10;          // of it; 0: all
};

int convert(const GroupedOptions& grouped, const Options& options) {
  if (options.model.starts_with("random:")) {
    fail_input("--model is {}, which is no folder to convert; give a Hugging Face folder", options.model);
  }
  if (grouped.kv_heads == 0) fail_input("--convert lacks --kv-heads; give the number of KV heads to convert to");
  const std::filesystem::path from = model_folder(options.model, options.device);
  convert_folder(from, grouped.convert, grouped.kv_heads, pooling_of(grouped.pooling));
  fmt::print("{}: {} with {} KV heads, {}\n", grouped.convert.string(), from.string(), grouped.kv_heads,
             grouped.pooling);
  return 0;
}

// ---- the variants side by side ----

struct MeasuredVariant {
  Variant variant;
  VariantRun run;
  int64_t bytes_per_token = 0;                                       // of keys and values
  int64_t budget_bytes = 0, largest_batch = 0, predicted_batch = 0;  // texts as long as this one in so many bytes
  double perplexity = 0.0;

  const ModelConfig& config() const { return variant.source.config; }
};

std::string count_kv_heads(int kv_heads) { return fmt::format("{} KV head{}", kv_heads, kv_heads == 1 ? "" : "s"); }

// Each variant is loaded, measured and dropped; `loaded`, the model that was asked for, stays.
std::vector<MeasuredVariant> measure_variants(const std::vector<Variant>& variants, const LoadedModel& loaded,
                                              const MachineRates& rates, const Options& options, EvalText& eval) {
  const std::vector<DecodeShape> shapes = decode_shapes(loaded.config(), options.device, options.sweep);
  std::vector<MeasuredVariant> all;
  int64_t budget = 0;
  for (const Variant& variant : variants) {
    const LoadedModel own = variant.given ? loaded : load_model(variant.source, options.dtype, options.device);
    const ModelConfig& config = own.config();
    fmt::print("{}{}, {} heads, {}, {}:\n", all.empty() ? "" : "\n", variant.name, config.num_heads,
               count_kv_heads(config.num_kv_heads), variant.origin);
    MeasuredVariant m{.variant = variant, .run = run_variant(variant, own, options)};
    m.bytes_per_token = config.kv_bytes_per_token(size_of(options.dtype));
    m.run.decode = measure_decode(*own.transformer, rates, shapes);
    const int64_t length = m.run.max_length;
    if (all.empty()) budget = kTextsInBudget * m.bytes_per_token * round_to_blocks(length);  // a KV head for each head
    m.budget_bytes = budget;
    m.largest_batch = measure_largest_batch(config, options.dtype, length, budget);
    m.predicted_batch = predict_largest_batch(config, options.dtype, length, budget);
    m.perplexity = eval.perplexity(variant.source, options.dtype, options.device);
    all.push_back(std::move(m));
  }
  return all;
}

std::string draw_decode(const std::vector<MeasuredVariant>& all) {
  Table table({"context × texts", "", "bytes a token", "tokens/s, predicted", "tokens/s", "against MHA, predicted",
               "against MHA"});
  for (size_t i = 0; i < all.front().run.decode.size(); ++i) {
    const DecodePoint& first = all.front().run.decode[i];
    for (const MeasuredVariant& m : all) {
      const DecodePoint& point = m.run.decode[i];
      table.add({fmt::format("{} × {}", point.shape.context_len, point.shape.batch), m.variant.name,
                 format_bytes(point.bytes_per_token), format_rate(point.predicted_rate), format_rate(point.rate),
                 format_ratio(point.predicted_rate / first.predicted_rate), format_ratio(point.rate / first.rate)});
    }
  }
  return table.to_string();
}

Json describe_variant(const MeasuredVariant& m, const LoadedModel& loaded) {
  Json json = Json::object();
  json.set("name", m.variant.name).set("kv_heads", m.config().num_kv_heads);
  json.set("kv_bytes_per_token", m.bytes_per_token).set("tokens_per_second", m.run.generation.tokens_per_second());
  json.set("perplexity", m.perplexity).set("origin", m.variant.origin).set("uptrained", m.variant.uptrained);
  json.set("text", loaded.text(m.run.generation.token_ids()));
  json.set("same_output", m.run.comparison.same).set("near_ties", m.run.comparison.near_ties);
  json.set("largest_batch", m.largest_batch).set("predicted_largest_batch", m.predicted_batch);
  Json points = Json::array();
  for (const DecodePoint& p : m.run.decode) {
    Json point = Json::object();
    point.set("context_len", p.shape.context_len).set("batch", p.shape.batch);
    point.set("bytes_per_token", p.bytes_per_token).set("predicted_tokens_per_second", p.predicted_rate);
    points.push(point.set("tokens_per_second", p.rate));
  }
  return json.set("decode", points);
}

// ---- fewer heads made in three ways, not trained on ----

struct ConvertedScore {
  int kv_heads;
  std::string pooling;
  double perplexity;
};

// Of the variants' numbers of KV heads; with --sweep of every number.
std::vector<ConvertedScore> score_conversions(const ModelSource& source, const Options& options,
                                              const std::vector<MeasuredVariant>& variants, EvalText& eval) {
  std::vector<int> numbers;
  for (const MeasuredVariant& m : variants) numbers.push_back(m.config().num_kv_heads);
  if (options.sweep) numbers = possible_kv_heads(source.config);
  std::vector<ConvertedScore> scores;
  for (const int number : numbers) {
    if (number >= source.config.num_kv_heads) continue;
    for (const std::string& pooling : pooling_names()) {
      const ModelSource fewer = converted(source, number, pooling_of(pooling));
      scores.push_back({number, pooling, eval.perplexity(fewer, options.dtype, options.device)});
    }
  }
  return scores;
}

std::string format_perplexity(double value) {
  return std::isnan(value) ? "not measured" : fmt::format("{:.2f}", value);
}

std::string draw_perplexity(const std::vector<MeasuredVariant>& all, const std::vector<ConvertedScore>& conversions) {
  Table table({"perplexity", "KV heads", ""});
  for (const MeasuredVariant& m : all) {
    table.add({m.variant.origin, format_count(m.config().num_kv_heads), format_perplexity(m.perplexity)});
  }
  for (const ConvertedScore& score : conversions) {
    table.add({fmt::format("converted, {}", score.pooling), format_count(score.kv_heads),
               format_perplexity(score.perplexity)});
  }
  return table.to_string();
}

Json describe_conversions(const std::vector<ConvertedScore>& conversions) {
  Json all = Json::array();
  for (const ConvertedScore& score : conversions) {
    Json json = Json::object();
    json.set("kv_heads", score.kv_heads).set("pooling", score.pooling);
    all.push(json.set("perplexity", score.perplexity));
  }
  return all;
}

// ---- what other models do ----

int64_t bf16_bytes_per_token(const ModelConfig& config) { return config.kv_bytes_per_token(size_of(DType::bf16)); }

std::string draw_known_models() {
  Table table({"bf16", "", "layers", "heads", "KV heads", "head_dim", "bytes a token", "with a KV head a head"});
  for (const ModelConfig& config : known_models()) {
    const int group = config.num_heads / config.num_kv_heads;
    table.add({config.name, sharing_name(config), format_count(config.num_layers), format_count(config.num_heads),
               format_count(config.num_kv_heads), format_count(config.head_dim),
               format_count(bf16_bytes_per_token(config)), format_count(group * bf16_bytes_per_token(config))});
  }
  return table.to_string();
}

Json describe_known_models() {
  Json models = Json::array();
  for (const ModelConfig& config : known_models()) {
    Json model = Json::object();
    model.set("name", config.name).set("sharing", sharing_name(config)).set("layers", config.num_layers);
    model.set("heads", config.num_heads).set("kv_heads", config.num_kv_heads).set("head_dim", config.head_dim);
    models.push(model.set("kv_bytes_per_token", bf16_bytes_per_token(config)));
  }
  return models;
}

// ---- the program ----

// Where the attention steps run: the CPU, which has none, leaves them to the simulator.
std::optional<Device> device_of_attention(Device device) {
#if defined(LLM_HAVE_SIMT)
  return device == Device::cpu ? Device::simt : device;
#else
  return device == Device::cpu ? std::nullopt : std::optional(device);
#endif
}

// Whether one of the two shipped models that were trained on is wanted and not there.
bool lack_uptrained(const std::vector<Variant>& variants, const GroupedOptions& grouped, const Options& options) {
  if (!options.model.empty() || options.device == Device::simt || grouped.kv_heads != 0) return false;
  return !std::ranges::all_of(variants, [](const Variant& v) { return v.given || v.uptrained; });
}

void add_variants(Report& report, const std::vector<MeasuredVariant>& all, const MachineRates& rates,
                  const Transformer& model) {
  const VariantRun& given = std::ranges::find_if(all, [](const MeasuredVariant& m) { return m.variant.given; })->run;
  const int64_t prompt_len = std::ssize(given.generation.prompt());
  report.add_generation(given.generation, given.kv_bytes, predict_pass_ms(model, rates, prompt_len, prompt_len),
                        predict_decode_ms(model, rates, prompt_len, std::ssize(given.generation.token_ids())));
  for (const MeasuredVariant& m : all) {
    report.add_row(fmt::format("{}, {}: KV bytes per token", m.variant.name, count_kv_heads(m.config().num_kv_heads)),
                   format_count(m.bytes_per_token),
                   format_count(static_cast<int64_t>(m.run.kv_bytes) / m.run.max_length));
    report.add_row(fmt::format("  texts of {} tokens in {}", m.run.max_length, format_bytes(double(m.budget_bytes))),
                   format_count(m.predicted_batch), format_count(m.largest_batch));
    report.add_row("  same output as chapter 1 with its weights", "yes", describe(m.run.comparison));
  }
  report.compare(given.naive.token_ids, given.naive.top_gaps);
}

int run(int argc, const char* const* argv) {
  GroupedOptions grouped;
  OptionParser parser("chapter_05",
                      "Chapter 5, grouped-query attention: fewer KV heads, each shared by a group of heads.");
  CommandLine& line = parser.command_line();
  line.add("--kv-heads", &grouped.kv_heads, 1, 4096, "KV heads of the grouped or the converted model");
  line.add("--convert", &grouped.convert, "only write the model with --kv-heads to this folder, for Hugging Face too");
  line.add("--pool", &grouped.pooling, pooling_names(), "with --convert: what a group's head is made of");
  line.add("--text", &grouped.text, "the text to score, in place of the stories under models/eval");
  line.add("--documents", &grouped.documents, 0, 1 << 20, "how many of its documents; 0: all, as with --sweep");
  const Options options = parser.parse(argc, argv);
  if (!grouped.convert.empty()) return convert(grouped, options);
  require_device(options.device);
  EvalText eval(grouped.text, options.sweep ? 0 : grouped.documents);
  const ModelSource source = open_model(options.model, options.device);
  const LoadedModel loaded = load_model(source, options.dtype, options.device);
  prompt_token_ids(loaded, options);  // mistakes first
  const auto attention_device = device_of_attention(options.device);
  const std::vector<MeasuredAttention> attention =
      attention_device ? measure_attention(*attention_device, options.sweep) : std::vector<MeasuredAttention>();
  const MachineRates rates = measure_rates(*loaded.transformer);
  const std::vector<Variant> variants = find_variants(source, options, grouped.kv_heads);
  const std::vector<MeasuredVariant> all = measure_variants(variants, loaded, rates, options, eval);
  const std::vector<ConvertedScore> conversions = score_conversions(source, options, all, eval);
  if (lack_uptrained(variants, grouped, options)) {
    fmt::print(
        "\nmodels/stories-gqa and models/stories-mqa are not both there, so not all conversions are trained on; "
        "tools/uptrain_gqa.py makes them\n");
  }

  if (!all.front().run.decode.empty()) {
    fmt::print("\ndecode, texts of so many tokens each, tokens/s of all of them together:\n{}", draw_decode(all));
  }
  if (eval.num_tokens() > 0) {
    fmt::print("\n{} tokens of {} documents of {}:\n{}", format_count(eval.num_tokens()),
               format_count(eval.num_documents()), eval.file(), draw_perplexity(all, conversions));
  }
  fmt::print("\nattention of one query, bytes of global memory:\n{}", draw_attention(attention));
  fmt::print("\n2 · layers · KV heads · head_dim · 2 bytes:\n{}", draw_known_models());

  Report report({5, "grouped-query attention"}, loaded, options);
  add_variants(report, all, rates, *loaded.transformer);
  Json described = Json::array();
  for (const MeasuredVariant& m : all) described.push(describe_variant(m, loaded));
  Json text = Json::object();
  text.set("documents", eval.num_documents()).set("tokens", eval.num_tokens());
  report.details().set("variants", described).set("conversions", describe_conversions(conversions)).set("eval", text);
  report.details().set("kv_budget_bytes", all.front().budget_bytes).set("kernels", describe_attention(attention));
  report.details().set("real_models", describe_known_models());
  const bool same = std::ranges::all_of(all, [](const MeasuredVariant& m) { return m.run.comparison.same; });
  return std::max(report.finish(), same ? 0 : 1);
}

}  // namespace
}  // namespace llm

int main(int argc, char** argv) {
  return llm::run_program([&] { return llm::run(argc, argv); });
}
