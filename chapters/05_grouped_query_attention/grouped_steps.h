// Attention of one new query a sequence where heads share keys and values: three ways of reading them, and chapter 4's.
#pragma once

#include "chapters/04_flash_attention/measure_step.h"
#include "chapters/05_grouped_query_attention/grouped_attention.h"

namespace llm {

// All take one query a sequence at most; null on the CPU, where the caches do what is here done by hand.
struct GroupedSteps {
  AttentionStep expanded = nullptr;  // keys and values are first repeated for each head, as if there were no groups
  AttentionStep per_head = nullptr;  // each head reads its group's keys and values by itself
  AttentionStep grouped = nullptr;   // they are read once for the heads of a group
  AttentionStep tensor = nullptr;    // chapter 4's flash_decoding: so too, as a product on tensor cores in 16 bits
};

// Throws InputError where the device is not there.
const GroupedSteps& grouped_steps(Device device);

// What a step moves between memory and chip by formula, for one query of each sequence: keys and values once for every
// `heads_at_once` heads of a group; queries, results and their log_sum_exp once.
MemoryTraffic grouped_traffic(const StepShape& shape, int64_t heads_at_once);
// Keys and values once, then their copies, written and read for every head.
MemoryTraffic expanded_traffic(const StepShape& shape);

}  // namespace llm
