// Who guesses what the model will say next.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "common/sampling/sampler.h"

namespace llm {

// region: drafter
// A guess at a text's next tokens. Any guess will do: a poor one costs time, never the text.
struct Draft {
  std::vector<int32_t> tokens;  // [num_drafted], perhaps none
  // [num_drafted][vocab_size] what each token was drawn from; empty where none was drawn: all of q lies on the token.
  std::vector<std::vector<double>> q;

  void shorten(size_t num_drafted) {
    tokens.resize(std::min(tokens.size(), num_drafted));
    q.resize(std::min(q.size(), num_drafted));
  }
};

// What is to be gone on from.
struct DraftRequest {
  int32_t sequence_id;
  std::span<const int32_t> context;  // prompt and text so far
  int max_tokens;                    // of the draft
  Sampler& sampler;                  // how the request's tokens are drawn, and its random numbers
};

class Drafter {
 public:
  virtual ~Drafter() = default;

  // One draft for each request.
  virtual std::vector<Draft> draft(std::span<const DraftRequest> requests) = 0;

  // What was verified: of all that the drafter knows of a sequence, the first `length` tokens stand.
  virtual void truncate(int32_t /*sequence_id*/, int32_t /*length*/) {}
  // A sequence has ended.
  virtual void release(int32_t /*sequence_id*/) {}
};
// endregion

}  // namespace llm
