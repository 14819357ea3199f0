// What ./run prints at its end.
#pragma once

#include <string>
#include <vector>

#include "common/json/json.h"

namespace llm {

// Chapter, time to first token, tokens/s, speed against chapter 1 and against the chapter before, KV bytes, same
// output: one row a report.
std::string ladder_table(const std::vector<Json>& reports);

// What each chapter is about, without its technique and with it, both measured by its own program.
std::string figures_table(const std::vector<Json>& reports);

}  // namespace llm
