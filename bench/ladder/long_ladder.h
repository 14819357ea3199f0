// The ladder at several lengths, number formats, devices and models, each several times: ./run --long.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/json/json.h"

namespace llm {

// One setting that chapters are run in.
struct LadderCase {
  std::string model, device, dtype;
  int prompt_tokens = 0, max_tokens = 0;
  int last_chapter = 8;  // the first so many run
};

// The embedded model and shapes of real ones, on the CPU and on a GPU where there is one; the most telling first.
std::vector<LadderCase> ladder_cases();

struct LongLadder {
  std::vector<std::filesystem::path> programs;  // the chapters', in order
  std::filesystem::path folder;                 // where they write
  int repetitions = 3;
  double minutes = 15.0;  // after which no further program is started
};

// A row for each chapter of each case: what it is, tokens_per_second and ttft_ms with their spread, kv_bytes and
// same_output; or "not_measured" with the reason. All cases run once before any runs again, so that a busy minute of
// the machine does not spoil one of them alone.
Json run_long_ladder(const LongLadder& ladder, const std::vector<LadderCase>& cases);

// Tokens/s of each row and the speed against chapter 1 of the same case.
std::string long_table(const Json& rows);

}  // namespace llm
