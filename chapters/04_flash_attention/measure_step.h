// One step on one dense problem of random numbers: how far it is from float64, what it moved, how long it took.
#pragma once

#include <optional>
#include <string>

#include "chapters/04_flash_attention/attention_input.h"
#include "chapters/04_flash_attention/io_formulas.h"

namespace llm {

struct StepShape {
  int64_t n = 128;  // queries, and keys
  int64_t head_dim = 64;
  int64_t heads = 1, kv_heads = 1, num_seqs = 1;
  int64_t num_queries = 0;  // of each sequence, its last positions; 0: all n
  bool causal = false;
  DType dtype = DType::f32;
  int block_size = 0;  // keys stand in blocks in a scattered order; 0: in one
  int tile = 0;

  int64_t queries() const { return num_queries > 0 ? num_queries : n; }
  // Q · Kᵀ and P · V: 4 · head_dim for every query and key that it sees.
  double flops() const;
  double kv_bytes() const;
};

// A step's operands on a device, with random numbers.
struct StepProblem {
  StepProblem(const StepShape& shape, Device device);

  void run(AttentionStep step) { step(in, workspace, {out, log_sum_exp}); }

  StepShape shape;
  Tensor q, k, v, block_table, query_start, context_len, out, log_sum_exp;
  AttentionInput in;
  Workspace workspace;
};

// What the step reads and writes on the simulator, in whole 32-byte sectors, before any cache. Nothing where the build
// can't tell: with AddressSanitizer, or without optimization.
std::optional<MemoryTraffic> count_traffic(AttentionStep step, const StepShape& shape);

// The largest difference of any number of the output from float64.
double max_error(AttentionStep step, Device device, const StepShape& shape);

// Seconds a run, the median of several after a warm-up.
double time_step(AttentionStep step, Device device, const StepShape& shape);

}  // namespace llm
