#include "bench/ladder/ladder_tables.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "common/program/format.h"

namespace llm {
namespace {

double number_or_nan(const Json& object, const char* key) {
  return object.has(key) ? object.at(key).number() : std::numeric_limits<double>::quiet_NaN();
}

// A number in one of the objects of a chapter's details.
double number_of(const Json& details, const char* object, const char* key) {
  return details.has(object) ? number_or_nan(details.at(object), key) : NAN;
}

// "not measured", as the others say it.
std::string format_whole(double count) {
  return std::isfinite(count) ? format_count(static_cast<int64_t>(count)) : format_rate(count);
}

std::string format_two_digits(double value) {
  return std::isfinite(value) ? fmt::format("{:.2f}", value) : format_rate(value);
}

double idle_share(const Json& details, const char* run) {
  return number_of(details, run, "idle_slot_steps") / number_of(details, run, "slot_steps");
}

// The bytes that a step of chapter 4 moves with `n` queries and keys; NaN where they were not counted.
double bytes_moved(const Json& details, const std::string& step, double n) {
  double bytes = NAN;
  details.at("kernels").for_each([&](const Json& kernel) {
    if (kernel.at("name").string() != step || number_or_nan(kernel, "n") != n || !std::isnan(bytes)) return;
    bytes = number_or_nan(kernel, "bytes_read") + number_or_nan(kernel, "bytes_written");
  });
  return bytes;
}

double largest_n_counted(const Json& details) {
  double largest = NAN;
  details.at("kernels").for_each([&](const Json& kernel) {
    if (kernel.has("bytes_read")) largest = std::fmax(largest, kernel.at("n").number());
  });
  return largest;
}

void add_figures(Table& table, int64_t chapter, const Json& details) {
  const auto add = [&](const std::string& what, const std::string& without, const std::string& with) {
    table.add({fmt::format("{} {}", chapter, what), without, with});
  };
  if (chapter == 2) {
    add("tokens passed through the model", format_whole(number_or_nan(details, "token_passes_naive")),
        format_whole(number_or_nan(details, "token_passes_cached")));
  } else if (chapter == 3) {
    add("KV memory reserved, but holding no token", format_share(1.0 - number_of(details, "contiguous", "used_share")),
        format_share(1.0 - number_of(details, "paged", "used_share")));
  } else if (chapter == 4) {
    const double n = largest_n_counted(details);
    add(fmt::format("bytes that attention moves, N = {}", format_whole(n)),
        format_bytes(bytes_moved(details, "standard_attention", n)),
        format_bytes(bytes_moved(details, "flash_attention_2", n)));
  } else if (chapter == 5 && details.at("variants").size() > 1) {
    const Json all_heads = details.at("variants").at(0), fewer = details.at("variants").at(1);
    const std::string name = fewer.at("name").string();
    add("KV bytes a token, " + name, format_whole(number_or_nan(all_heads, "kv_bytes_per_token")),
        format_whole(number_or_nan(fewer, "kv_bytes_per_token")));
    add("perplexity, " + name, format_two_digits(number_or_nan(all_heads, "perplexity")),
        format_two_digits(number_or_nan(fewer, "perplexity")));
  } else if (chapter == 6) {
    add("drafted tokens accepted", "", format_share(number_or_nan(details, "acceptance")));
    add("tokens a pass of the large model", "1.00", format_two_digits(number_or_nan(details, "tokens_per_round")));
  } else if (chapter == 7) {
    add("slot-steps idle", format_share(idle_share(details, "static")),
        format_share(idle_share(details, "continuous")));
  } else if (chapter == 8) {
    add("prompt tokens found in the cache", format_share(0.0), format_share(number_or_nan(details, "hit_rate")));
  }
}

}  // namespace

std::string ladder_table(const std::vector<Json>& reports) {
  Table table({"chapter", "first token", "tokens/s", "against 1", "against before", "KV bytes", "same output"});
  const double base = reports.empty() ? NAN : number_or_nan(reports.front(), "tokens_per_second");
  double before = NAN;
  for (const Json& report : reports) {
    const double rate = number_or_nan(report, "tokens_per_second");
    const bool first = &report == &reports.front();
    table.add({fmt::format("{} {}", report.at("chapter").integer(), report.at("technique").string()),
               format_ms(number_or_nan(report, "ttft_ms")), format_rate(rate), format_ratio(rate / base),
               first ? "" : format_ratio(rate / before), format_bytes(number_or_nan(report, "kv_bytes")),
               report.at("same_output").boolean() ? "yes" : "NO"});
    before = rate;
  }
  return table.to_string();
}

std::string figures_table(const std::vector<Json>& reports) {
  Table table({"what each chapter is about", "without", "with it"});
  for (const Json& report : reports) add_figures(table, report.at("chapter").integer(), report.at("details"));
  return table.to_string();
}

}  // namespace llm
