#include "chapters/06_speculative_decoding/round.h"

#include <algorithm>

namespace llm {

int64_t Round::num_accepted() const {
  const auto [drafted_end, added_end] = std::ranges::mismatch(drafted, added);
  return drafted_end - drafted.begin();
}

RoundCounts count_rounds(std::span<const Round> rounds) {
  RoundCounts counts;
  for (const Round& round : rounds) {
    const int64_t drafted = std::ssize(round.drafted), accepted = round.num_accepted();
    ++counts.rounds;
    counts.drafted += drafted;
    counts.accepted += accepted;
    const bool ended = std::ssize(round.added) == accepted;  // the text, with an accepted token
    counts.judged += ended ? accepted : std::min(accepted + 1, drafted);
    counts.tokens += std::ssize(round.added);
    const auto longest = std::max(counts.drafted_at.size(), round.drafted.size());
    counts.drafted_at.resize(longest);
    counts.accepted_at.resize(longest);
    for (int64_t i = 0; i < drafted; ++i) {
      ++counts.drafted_at[static_cast<size_t>(i)];
      counts.accepted_at[static_cast<size_t>(i)] += i < accepted;
    }
  }
  return counts;
}

double RoundCounts::tokens_per_round() const { return static_cast<double>(tokens) / static_cast<double>(rounds); }

double RoundCounts::acceptance() const { return static_cast<double>(accepted) / static_cast<double>(judged); }

std::vector<double> RoundCounts::acceptance_by_position() const {
  std::vector<double> shares;
  for (size_t i = 0; i < drafted_at.size(); ++i) {
    shares.push_back(static_cast<double>(accepted_at[i]) / static_cast<double>(drafted_at[i]));
  }
  return shares;
}

}  // namespace llm
