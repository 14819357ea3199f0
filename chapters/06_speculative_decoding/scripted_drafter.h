// Drafts that are right as often as one likes: for tests, and to see what a rate of acceptance is worth.
#pragma once

#include <map>
#include <random>

#include "chapters/06_speculative_decoding/drafter.h"

namespace llm {

// Knows how each text goes on, says so with probability `acceptance`, and something else otherwise. Beyond a script's
// end there is no draft.
class ScriptedDrafter : public Drafter {
 public:
  // scripts: prompt and text, by sequence id
  ScriptedDrafter(std::map<int32_t, std::vector<int32_t>> scripts, double acceptance, int vocab_size, uint64_t seed = 0)
      : scripts_(std::move(scripts)), acceptance_(acceptance), vocab_size_(vocab_size), random_(seed) {}

  std::vector<Draft> draft(std::span<const DraftRequest> requests) override;

 private:
  std::map<int32_t, std::vector<int32_t>> scripts_;
  double acceptance_;
  int vocab_size_;
  std::mt19937_64 random_;
};

}  // namespace llm
