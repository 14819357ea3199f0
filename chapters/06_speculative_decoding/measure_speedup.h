// Speculation by the clock: its costs, its gain against chapter 2 in the same process, and what the formula makes of
// them.
#pragma once

#include <limits>
#include <memory>
#include <optional>

#include "chapters/06_speculative_decoding/speculative_generation.h"

namespace llm {

// A drafter with the memory that it uses, if any.
struct OwnedDrafter {
  std::unique_ptr<KvMemory> memory;
  std::unique_ptr<Drafter> drafter;
};

// A fresh one for some texts whose prompts have so many tokens together.
using MakeDrafter = std::function<OwnedDrafter(int64_t prompt_tokens, int64_t num_seqs)>;

struct SpeedupProblem {
  const Transformer& model;
  MakeDrafter make_drafter;
  std::vector<std::vector<int32_t>> prompts;  // of texts that advance together
  GenerationParams params;
  std::optional<double> simulated_alpha = {};  // acceptance by a coin
};

inline constexpr double kNotMeasured = std::numeric_limits<double>::quiet_NaN();

struct MeasuredSpeedup {
  int k = 0;
  RoundCounts counts;  // of all texts
  // Medians of a drafting step and of a verification, in steps of the target alone; NaN: not measured.
  double c = kNotMeasured, v = kNotMeasured;
  double predicted = kNotMeasured, measured = kNotMeasured;
  std::vector<std::vector<int32_t>> token_ids;  // of each text
};

// Runs chapter 2 (for several texts, chapter 3's batch) and speculation with each `k` in turn, again and again until
// `seconds` are over or five rounds are done, and takes medians of what was measured side by side. The first `k` is
// measured in any case; what was not measured for lack of time is left out.
std::vector<MeasuredSpeedup> measure_speedups(const SpeedupProblem& problem, const std::vector<int>& ks,
                                              double seconds);

// Of the texts, as speculation alone makes them.
struct SpeculativeRun {
  std::vector<SpeculativeSequence> texts;
  double ms;  // without the prompts' pass
};
SpeculativeRun run_speculative(const SpeedupProblem& problem, int k);

}  // namespace llm
