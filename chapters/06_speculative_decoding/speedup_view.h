// Rates of acceptance and speed-ups as tables and as JSON.
#pragma once

#include <string>

#include "chapters/06_speculative_decoding/measure_speedup.h"
#include "chapters/06_speculative_decoding/speedup_sweep.h"
#include "common/json/json.h"

namespace llm {

// A line a position, its share as a bar.
std::string draw_acceptance(const RoundCounts& counts);

// A line for each k, predicted beside measured.
std::string draw_speedups(const std::vector<MeasuredSpeedup>& rows);
Json describe_speedups(const std::vector<MeasuredSpeedup>& rows);

// The same for each drafter, temperature and number of texts.
std::string draw_sweep(const std::vector<SweptSpeedups>& swept);
Json describe_sweep(const std::vector<SweptSpeedups>& swept);

}  // namespace llm
