// Rounds as a reader sees them: tokens in color as they come, and a list of who said what.
#pragma once

#include <string>

#include "chapters/06_speculative_decoding/round.h"
#include "common/program/generation.h"
#include "common/program/token_stream.h"
#include "common/program/trace.h"

namespace llm {

// The text as it is made. In color: accepted tokens green, rejected ones red and struck through, the target's own
// plain. Without color it is the text alone.
class RoundStream {
 public:
  RoundStream(const LoadedModel& model, const std::vector<int32_t>& prompt, bool color)
      : model_(model), stream_(model, prompt), color_(color) {}
  void push(const Round& round);
  void finish() { stream_.finish(); }

 private:
  const LoadedModel& model_;
  TokenStream stream_;
  bool color_;
};

// A line a round, of the first `most`: what was drafted, how much of it was accepted, and what the target added.
std::string draw_rounds(const LoadedModel& model, std::span<const Round> rounds, size_t most);

// Row `row` of a trace: the prompt's pass, then a bar a round with what was drafted, how much of it was accepted, and
// the target's own token.
void trace_rounds(Trace& trace, int row, const LoadedModel& model, const Generation& generation,
                  std::span<const Round> rounds);

}  // namespace llm
