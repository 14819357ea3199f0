// A request in service: its text so far, and how far the cache knows it.
#pragma once

#include "chapters/03_paged_attention/batched_generation.h"
#include "chapters/06_speculative_decoding/drafter.h"
#include "chapters/07_continuous_batching/output_text.h"
#include "chapters/07_continuous_batching/request.h"

namespace llm {

// It is waiting or running. Nothing tells prefill from decode: num_computed_tokens of its known tokens are in the
// cache, and each step brings that number closer to all of them.
struct Sequence : Text {
  Sequence(int32_t id_in, Request request_in, const ModelConfig& config, const Tokenizer* tokenizer = nullptr)
      : Text{id_in, Generation(request_in.prompt, config, request_in.params)},
        request(std::move(request_in)),
        output(tokenizer, request.stop) {}

  int32_t num_known_tokens() const { return static_cast<int32_t>(generation.all().size()); }
  // What is left to compute before the next token can be sampled: the rest of the prompt; after a preemption all of it
  // and what was generated; else the one token that came last, and what was drafted after it.
  int32_t num_uncomputed_tokens() const { return static_cast<int32_t>(new_tokens().size() + draft.tokens.size()); }

  Request request;
  OutputText output;
  Draft draft;                    // a guess at what comes after the last token, for one step
  int32_t slot = -1;              // its place among those that run; the last one where it waits
  int32_t num_cached_tokens = 0;  // of the prompt, found by the PrefixSource when it first ran
  int32_t num_preemptions = 0;
  int64_t passes_since_token = 0;  // tokens fed since the last one that was sampled
};

}  // namespace llm
