// What a run of an engine comes to: steps, idle slots, tokens per second, waiting times.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "chapters/07_continuous_batching/engine.h"
#include "common/json/json.h"

namespace llm {

// The smallest value that at least `percent` of all do not exceed (nearest rank); NaN for none.
double percentile(std::vector<double> values, double percent);

struct ServingMetrics {
  int64_t steps = 0;
  int64_t slot_steps = 0, idle_slot_steps = 0;  // a slot in one step; those in which it had no token to compute
  std::vector<int32_t> busy_slots;              // [steps] slots that had one
  int64_t tokens_computed = 0;                  // for requests, repeated ones too
  int64_t tokens_padded = 0;                    // for nobody
  int64_t tokens_generated = 0;
  int64_t preemptions = 0;
  double seconds = 0.0;         // of all steps; the gaps between are not counted
  std::vector<double> ttft_ms;  // of each request: from its arrival to its first token
  std::vector<double> itl_ms;   // of each later token: since the one before it

  double tokens_per_second() const { return static_cast<double>(tokens_generated) / seconds; }
  double idle_share() const { return static_cast<double>(idle_slot_steps) / static_cast<double>(slot_steps); }
};

ServingMetrics measure(const Engine& engine, int32_t num_slots);

// A table with a column for each run, beside one in which requests ran one by one.
std::string draw_metrics(std::span<const std::pair<std::string, ServingMetrics>> runs, double one_by_one);
Json describe_metrics(const ServingMetrics& metrics);

}  // namespace llm
