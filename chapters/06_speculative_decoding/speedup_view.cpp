#include "chapters/06_speculative_decoding/speedup_view.h"

#include <fmt/format.h>

#include <cmath>

#include "chapters/06_speculative_decoding/formulas.h"
#include "common/program/format.h"

namespace llm {

std::string draw_acceptance(const RoundCounts& counts) {
  constexpr double kWidth = 40.0;
  std::string lines;
  int position = 0;
  for (const double share : counts.acceptance_by_position()) {
    std::string bar;
    for (int i = 0; i < std::lround(kWidth * share); ++i) bar += "█";
    lines += fmt::format("  {:>2}  {} {}\n", ++position, bar, format_share(share));
  }
  return lines.empty() ? "  nothing was drafted\n" : lines;
}

std::string draw_speedups(const std::vector<MeasuredSpeedup>& rows) {
  Table table({"k", "accepted", "tokens a round", "predicted", "c", "v", "speed-up", "predicted"});
  for (const MeasuredSpeedup& row : rows) {
    const double alpha = row.counts.acceptance();
    table.add({format_count(row.k), format_share(alpha), fmt::format("{:.2f}", row.counts.tokens_per_round()),
               fmt::format("{:.2f}", expected_tokens(alpha, row.k)), fmt::format("{:.2f}", row.c),
               fmt::format("{:.2f}", row.v), format_ratio(row.measured), format_ratio(row.predicted)});
  }
  return table.to_string();
}

Json describe_speedups(const std::vector<MeasuredSpeedup>& rows) {
  Json all = Json::array();
  for (const MeasuredSpeedup& row : rows) {
    Json json = Json::object();
    json.set("k", row.k).set("drafted", row.counts.drafted).set("accepted", row.counts.accepted);
    json.set("rounds", row.counts.rounds).set("acceptance", row.counts.acceptance());
    json.set("tokens_per_round", row.counts.tokens_per_round()).set("cost_ratio", row.c).set("verify_ratio", row.v);
    all.push(json.set("speedup", row.measured).set("speedup_predicted", row.predicted));
  }
  return all;
}

std::string draw_sweep(const std::vector<SweptSpeedups>& swept) {
  Table table({"drafter", "temperature", "texts", "k", "accepted", "tokens a round", "v", "speed-up", "predicted"});
  for (const SweptSpeedups& s : swept) {
    for (const MeasuredSpeedup& row : s.rows) {
      table.add({s.drafter, format_rate(s.temperature), format_count(s.num_texts), format_count(row.k),
                 format_share(row.counts.acceptance()), format_rate(row.counts.tokens_per_round()), format_rate(row.v),
                 format_ratio(row.measured), format_ratio(row.predicted)});
    }
  }
  return table.to_string();
}

Json describe_sweep(const std::vector<SweptSpeedups>& swept) {
  Json all = Json::array();
  for (const SweptSpeedups& s : swept) {
    Json json = Json::object();
    json.set("drafter", s.drafter).set("temperature", s.temperature).set("texts", s.num_texts);
    all.push(json.set("by_k", describe_speedups(s.rows)));
  }
  return all;
}

}  // namespace llm
