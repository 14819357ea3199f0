// Each way of reading shared keys on one problem: what it moves, how far it is from float64, how long it takes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "chapters/05_grouped_query_attention/grouped_steps.h"
#include "common/json/json.h"

namespace llm {

struct MeasuredAttention {
  const char* name;
  StepShape shape;
  MemoryTraffic predicted;
  std::optional<MemoryTraffic> counted;  // on the simulator, where this build has one that can tell
  double max_error;
  double us;  // on a GPU; else NaN
};

// Runs on `device`, a GPU or the simulator. The shapes: 8 heads over 2 KV heads for the simulator, on a GPU
// those of a real model; with `sweep` also MHA and MQA.
std::vector<MeasuredAttention> measure_attention(Device device, bool sweep);

std::string draw_attention(const std::vector<MeasuredAttention>& all);
Json describe_attention(const std::vector<MeasuredAttention>& all);

}  // namespace llm
