// Texts that advance several tokens a step: drafted by somebody cheap, verified by the model in one pass.
#pragma once

#include <optional>

#include "chapters/03_paged_attention/batched_generation.h"
#include "chapters/06_speculative_decoding/round.h"
#include "chapters/06_speculative_decoding/simulated_acceptance.h"
#include "chapters/06_speculative_decoding/verifier.h"

namespace llm {

// A text, how long its drafts may be, and its rounds so far. The prompt's pass is no round.
struct SpeculativeSequence : Text {
  int max_draft;
  std::vector<Round> rounds = {};
};

class SpeculativeGeneration {
 public:
  // A step may have up to `max_tokens` new tokens, drafted ones included, of up to `max_seqs` sequences.
  SpeculativeGeneration(const Transformer& model, KvMemory& memory, AttendFn attend, Drafter& drafter,
                        int64_t max_tokens, int64_t max_seqs);

  // A round for each of the sequences: one draft, one forward pass for all of them, and what stands is added.
  // Afterwards the memory holds all tokens of each text but the last, and so does the drafter, which may lack one more.
  // False: the memory has no room for them all, and nothing has changed but the requests' random numbers.
  bool step(std::span<SpeculativeSequence* const> sequences);

  // From now on a coin decides what is accepted.
  void simulate_acceptance(double alpha) { simulated_.emplace(alpha); }

 private:
  std::vector<Draft> draft(std::span<SpeculativeSequence* const> sequences);
  void add(SpeculativeSequence& s, Round round, std::span<const TopToken> accepted);

  KvMemory& memory_;
  Drafter& drafter_;
  Batch batch_;
  StepRunner runner_;
  Verifier verifier_;
  std::optional<SimulatedAcceptance> simulated_;
};

// Called after each round, and after the prompt's pass with a round that drafted nothing.
using OnRound = std::function<void(const Round& round)>;

// One text, as sequence 0. The memory and the drafter must be empty for it.
SpeculativeSequence generate_speculative(const Transformer& model, KvMemory& memory, AttendFn attend, Drafter& drafter,
                                         const std::vector<int32_t>& prompt, const GenerationParams& params,
                                         int max_draft, const OnRound& on_round = {});

}  // namespace llm
