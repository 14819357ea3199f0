// Where a sequence's beginning may be found in the cache already: chapter 8 has one, this chapter runs without.
#pragma once

#include <cstdint>
#include <vector>

#include "chapters/07_continuous_batching/sequence.h"

namespace llm {

class PrefixSource {
 public:
  virtual ~PrefixSource() = default;

  // Full blocks that hold the sequence's first tokens, as many as are known, but fewer than all: at least one token is
  // left to compute. The scheduler asks whenever it is about to let a waiting sequence run, after a preemption too, and
  // may find no room: so this changes nothing.
  virtual std::vector<int32_t> match(const Sequence& sequence) const = 0;

  // After each step, for each sequence that took part: the first num_computed_tokens of its tokens are in the blocks of
  // its table. One that has finished is told for the last time; its blocks go back afterwards.
  virtual void record(const Sequence& sequence) = 0;
};

}  // namespace llm
