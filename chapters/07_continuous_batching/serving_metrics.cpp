#include "chapters/07_continuous_batching/serving_metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "common/program/format.h"

namespace llm {

double percentile(std::vector<double> values, double percent) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  std::ranges::sort(values);
  const double rank = std::ceil(percent / 100.0 * static_cast<double>(values.size()));
  return values[static_cast<size_t>(std::clamp(rank, 1.0, static_cast<double>(values.size()))) - 1];
}

ServingMetrics measure(const Engine& engine, int32_t num_slots) {
  ServingMetrics m;
  for (const StepRecord& record : engine.log()) {
    ++m.steps;
    m.slot_steps += num_slots;
    m.idle_slot_steps += num_slots - std::ssize(record.parts);
    m.busy_slots.push_back(static_cast<int32_t>(record.parts.size()));
    m.tokens_padded += record.num_padding;
    for (const StepRecord::Part& part : record.parts) m.tokens_computed += part.num_tokens;
    m.seconds += record.ms / 1000.0;
  }
  for (const Sequence& s : engine.sequences()) {
    const std::vector<double>& ms = s.generation.step_ms();
    m.preemptions += s.num_preemptions;
    m.tokens_generated += std::ssize(ms);
    if (ms.empty()) continue;
    m.ttft_ms.push_back(ms.front());
    m.itl_ms.insert(m.itl_ms.end(), ms.begin() + 1, ms.end());
  }
  return m;
}

// Percentiles of a kind of waiting, three rows.
constexpr int kPercents[] = {50, 95, 99};

std::string draw_metrics(std::span<const std::pair<std::string, ServingMetrics>> runs, double one_by_one) {
  std::vector<std::string> header = {"", "one by one"};
  for (const auto& [name, metrics] : runs) header.push_back(name);
  Table table(header);
  const auto row = [&](const std::string& what, const std::string& alone, const auto& value_of) {
    std::vector<std::string> cells = {what, alone};
    for (const auto& [name, metrics] : runs) cells.push_back(value_of(metrics));
    table.add(cells);
  };
  using M = ServingMetrics;
  row("tokens/s", format_rate(one_by_one), [](const M& m) { return format_rate(m.tokens_per_second()); });
  row("  against one by one", format_ratio(1.0),
      [&](const M& m) { return format_ratio(m.tokens_per_second() / one_by_one); });
  row("steps", "", [](const M& m) { return format_count(m.steps); });
  row("idle slot-steps", "", [](const M& m) { return format_count(m.idle_slot_steps); });
  row("  of all slot-steps", "", [](const M& m) { return fmt::format("{:.1f}%", 100.0 * m.idle_share()); });
  row("tokens computed for nobody", "", [](const M& m) { return format_count(m.tokens_padded); });
  row("preemptions", "", [](const M& m) { return format_count(m.preemptions); });
  for (const int percent : kPercents) {
    row(fmt::format("time to first token, p{}", percent), "",
        [&](const M& m) { return format_ms(percentile(m.ttft_ms, percent)); });
  }
  for (const int percent : kPercents) {
    row(fmt::format("between tokens, p{}", percent), "",
        [&](const M& m) { return format_ms(percentile(m.itl_ms, percent)); });
  }
  return table.to_string();
}

Json describe_metrics(const ServingMetrics& m) {
  Json json = Json::object();
  json.set("steps", m.steps).set("slot_steps", m.slot_steps).set("idle_slot_steps", m.idle_slot_steps);
  json.set("tokens_computed", m.tokens_computed).set("tokens_padded", m.tokens_padded);
  json.set("tokens_generated", m.tokens_generated).set("tokens_per_second", m.tokens_per_second());
  for (const int percent : kPercents) {
    json.set(fmt::format("ttft_ms_p{}", percent), percentile(m.ttft_ms, percent));
    json.set(fmt::format("itl_ms_p{}", percent), percentile(m.itl_ms, percent));
  }
  return json.set("preemptions", m.preemptions);
}

}  // namespace llm
