// What a run leaves behind: a line for each request, a line for each step, and a picture of the slots.
#pragma once

#include <string>

#include "chapters/07_continuous_batching/engine.h"
#include "common/program/trace.h"

namespace llm {

// JSON Lines; the fields are in docs/architecture.md. In the order of submission.
std::string describe_results(const Engine& engine);
std::string describe_steps(const Engine& engine);

// Who comes when with how many tokens: requests in order of length would flatter static batches.
std::string list_arrivals(const Engine& engine);

// One line a slot, from left to right the steps, so many to a character; of each group the last is shown: the letter of
// the sequence that computed something in it, or a dot.
std::string draw_slots(const Engine& engine, int32_t num_slots, int64_t steps_per_column);
char letter_of(int32_t sequence_id);

// One row a slot, one bar for each sequence in each step.
Trace trace_slots(const Engine& engine, int32_t num_slots);

}  // namespace llm
