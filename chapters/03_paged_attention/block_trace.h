// A row of the trace that shows sequences and their blocks: what each said in a step, and where it then stood.
#pragma once

#include <span>
#include <string>

#include "chapters/03_paged_attention/batched_generation.h"
#include "chapters/03_paged_attention/paged_kv_cache.h"
#include "common/program/loaded_model.h"
#include "common/program/trace.h"

namespace llm {

class BlockTrace {
 public:
  // Trace and model must outlive this. The row's time begins at 0.
  BlockTrace(Trace& trace, int row, const std::string& name, const LoadedModel& model);

  // A step in which each of `sequences` got a token. Whoever reads two steps sees what was shared and what was copied:
  // a block stands in several tables, or another has taken its place in one.
  void add_step(const PagedKvCache& cache, std::span<Text* const> sequences);

 private:
  Trace& trace_;
  int row_;
  const LoadedModel& model_;
  int64_t num_steps_ = 0;
  double end_ms_ = 0.0;  // of the last step
};

}  // namespace llm
