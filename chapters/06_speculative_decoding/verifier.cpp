#include "chapters/06_speculative_decoding/verifier.h"

namespace llm {

namespace {

bool is_greedy(const Drafted& sequence) { return sequence.sampler.params().temperature == 0.0; }

}  // namespace

// region: verify
std::vector<std::vector<TopToken>> Verifier::verify(TensorView logits, std::span<const Drafted> sequences) {
  std::vector<SampleRow> rows;
  for (const Drafted& sequence : sequences) {
    const bool one_row = sequence.draft.tokens.empty();
    rows.push_back(one_row ? sequence.sampler.next_row() : SampleRow{});
    rows.resize(rows.size() + sequence.draft.tokens.size());  // the likeliest of each
  }
  const std::vector<TopToken> sampled = sampler_.sample(logits, rows);

  std::vector<std::vector<TopToken>> accepted;
  int64_t row = 0;
  for (const Drafted& sequence : sequences) {
    const auto num_rows = std::ssize(sequence.draft.tokens) + 1;
    if (is_greedy(sequence) || num_rows == 1) {
      accepted.push_back(accept_greedy(std::span(sampled).subspan(static_cast<size_t>(row)), sequence.draft));
    } else {
      accepted.push_back(accept_sampled(to_host(logits.rows(row, row + num_rows)), sequence.draft, sequence.sampler));
    }
    row += num_rows;
  }
  return accepted;
}
// endregion

}  // namespace llm
