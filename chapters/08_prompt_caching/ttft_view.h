// The time to the first token with more and more of the prompt cached, as a table and as JSON.
#pragma once

#include <span>
#include <string>

#include "chapters/08_prompt_caching/ttft_probe.h"
#include "common/json/json.h"
#include "common/program/predict.h"

namespace llm {

// Warm through cold, measured beside what the passes should take at the machine's rates.
std::string draw_cached_shares(const Transformer& model, const MachineRates& rates, std::span<const TtftProbe> probes);
Json describe_cached_shares(const Transformer& model, const MachineRates& rates, std::span<const TtftProbe> probes);

}  // namespace llm
