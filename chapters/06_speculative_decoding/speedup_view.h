// Rates of acceptance and speed-ups as tables and as JSON.
#pragma once

#include <string>

#include "chapters/06_speculative_decoding/measure_speedup.h"
#include "common/json/json.h"

namespace llm {

// A line a position, its share as a bar.
std::string draw_acceptance(const RoundCounts& counts);

// A line for each k, predicted beside measured.
std::string draw_speedups(const std::vector<MeasuredSpeedup>& rows);
Json describe_speedups(const std::vector<MeasuredSpeedup>& rows);

}  // namespace llm
