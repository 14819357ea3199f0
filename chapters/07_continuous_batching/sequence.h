// A request in service: its text so far, and how far the cache knows it.
#pragma once

#include "chapters/03_paged_attention/batched_generation.h"
#include "chapters/07_continuous_batching/request.h"

namespace llm {

// It is waiting or running. Nothing tells prefill from decode: what is known has num_computed_tokens in the cache, and
// each step brings that number closer to all of them.
struct Sequence : Text {
  Sequence(int32_t id_in, Request request_in, const ModelConfig& config)
      : Text{id_in, Generation(request_in.prompt, config, request_in.params)}, request(std::move(request_in)) {}

  // What is left to compute before the next token can be sampled: the rest of the prompt, or all of it and what was
  // generated after a preemption, or the one token that came last. Drafted tokens would count here too.
  int32_t num_uncomputed_tokens() const { return static_cast<int32_t>(new_tokens().size()); }

  Request request;
  int32_t num_cached_tokens = 0;  // of the prompt, found by the PrefixSource when it first ran
  int32_t num_preemptions = 0;
  int64_t passes_since_token = 0;  // tokens fed since the last one that was sampled
};

}  // namespace llm
