// Verification: what of the drafts in a step stands, for all its sequences at once.
#pragma once

#include "chapters/06_speculative_decoding/rejection_sampling.h"

namespace llm {

// A sequence's part of a step that was fed its last token and then its draft, perhaps none. It takes
// draft.tokens.size() + 1 rows of logits (LogitRows::all, or LogitRows::last where there is no draft).
struct Drafted {
  const Draft& draft;
  Sampler& sampler;
};

// Knows nothing of how the step was put together: any batch will do in which these rows of logits stand.
class Verifier {
 public:
  Verifier(int64_t max_rows, Device device) : sampler_(max_rows, device) {}

  // For each sequence the drafted tokens that stand and one more, as accept_sampled and accept_greedy say. Without a
  // draft it is the ordinary next token, with the same random number.
  // Where all are greedy or without a draft, two words a row come back from the device; the rows of a sampled
  // sequence's draft are brought to the host, where p and q are compared in float64.
  //   logits [num_rows, vocab_size] f32, on the device: the sequences' rows, one after the other
  std::vector<std::vector<TopToken>> verify(TensorView logits, std::span<const Drafted> sequences);

 private:
  StepSampler sampler_;
};

}  // namespace llm
