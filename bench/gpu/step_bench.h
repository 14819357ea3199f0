// How one query's attention is timed: shared by the benchmarks of chapters 4 and 5.
#pragma once

#include <string>

#include "bench/gpu/bench_gpu.h"
#include "chapters/04_flash_attention/measure_step.h"

namespace llm {

struct NamedStep {
  const char* name;
  AttentionStep run;
};

// What a row of the results says of a step and its problem.
Json describe(const NamedStep& step, const StepShape& shape);

// Throws where the step is further from float64 than bf16's rounding of outputs near 1 explains.
void require_right(const GpuBench& bench, const NamedStep& step, StepShape shape);

// One query a sequence, to the results under `list`. Several problems in turn, so that keys come from memory and not
// from a cache.
void bench_decoding(GpuBench& bench, const std::string& list, const NamedStep& step, const StepShape& shape);

}  // namespace llm
