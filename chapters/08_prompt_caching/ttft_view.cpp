#include "chapters/08_prompt_caching/ttft_view.h"

#include "common/program/format.h"

namespace llm {

namespace {

double predict_warm_through_cold(const Transformer& model, const MachineRates& rates, const TtftProbe& probe) {
  const int64_t prompt = probe.prompt_tokens;
  return predict_pass_ms(model, rates, prompt - probe.cached_tokens, prompt) /
         predict_pass_ms(model, rates, prompt, prompt);
}

}  // namespace

std::string draw_cached_shares(const Transformer& model, const MachineRates& rates, std::span<const TtftProbe> probes) {
  Table table({"cached", "of", "first token, cold", "warm", "warm through cold", "predicted"});
  for (const TtftProbe& probe : probes) {
    table.add({format_count(probe.cached_tokens), format_count(probe.prompt_tokens), format_ms(median(probe.cold_ms)),
               format_ms(median(probe.warm_ms)), format_ratio(1.0 / probe.ttft_ratio()),
               format_ratio(predict_warm_through_cold(model, rates, probe))});
  }
  return table.to_string();
}

Json describe_cached_shares(const Transformer& model, const MachineRates& rates, std::span<const TtftProbe> probes) {
  Json rows = Json::array();
  for (const TtftProbe& probe : probes) {
    Json row = Json::object();
    row.set("prompt_tokens", probe.prompt_tokens).set("cached_tokens", probe.cached_tokens);
    row.set("ttft_ms_cold", median(probe.cold_ms)).set("ttft_ms_warm", median(probe.warm_ms));
    rows.push(row.set("warm_through_cold_predicted", predict_warm_through_cold(model, rates, probe)));
  }
  return rows;
}

}  // namespace llm
