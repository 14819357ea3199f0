#include "chapters/06_speculative_decoding/predict_rounds.h"

#include <limits>

#include "chapters/06_speculative_decoding/formulas.h"

namespace llm {

double count_round_bytes(const Transformer& model, const Transformer* draft, const SpeculativeSequence& text) {
  int64_t context_len = std::ssize(text.generation.prompt());
  double bytes = count_bytes(model, context_len);
  for (const Round& round : text.rounds) {
    ++context_len;  // the token that was added last is fed now
    const int64_t num_drafted = std::ssize(round.drafted);
    bytes += count_bytes(model, context_len + num_drafted);
    for (int64_t i = 0; draft != nullptr && i < num_drafted; ++i) bytes += count_bytes(*draft, context_len + i);
    context_len += std::ssize(round.added) - 1;
  }
  return bytes;
}

double predict_token_ms(const Transformer& model, const Transformer* draft, const MachineRates& rates,
                        const SpeculativeSequence& text) {
  if (text.rounds.empty()) return std::numeric_limits<double>::quiet_NaN();
  const RoundCounts counts = count_rounds(text.rounds);
  const int k = static_cast<int>(counts.drafted_at.size());
  const int64_t middle = std::ssize(text.generation.prompt()) + std::ssize(text.generation.token_ids()) / 2;
  double round_ms = predict_pass_ms(model, rates, k + 1, middle + k);
  if (draft != nullptr) round_ms += k * predict_pass_ms(*draft, rates, 1, middle);
  return round_ms / (k == 0 ? 1.0 : expected_tokens(counts.acceptance(), k));
}

}  // namespace llm
