// How long a pass should take: the figure that stands beside every measured one.
#pragma once

#include "common/model/transformer.h"

namespace llm {

// What the device that the model is on was measured to do; on the CPU, with the threads in use. NaN: not measured.
struct MachineRates {
  double bytes_per_second;  // reading a buffer as large as the model's weights, on a GPU of 1 GiB at most
  double flops_per_second;  // our matrix product, many rows, with the largest matrix of the model's layers
};

// None for the simulator, which has no speed of its own.
MachineRates measure_rates(const Transformer& model);

// Floating-point operations of one pass: 2 a weight and new token, and 4 · heads · head_dim for every key that a query
// sees (Q · Kᵀ and P · V). The output matrix counts for one row only.
//   new_tokens: fed in this pass, the last of `context_len` positions
double count_flops(const ModelConfig& config, int64_t new_tokens, int64_t context_len);

// Bytes that one pass must read: every weight once, and the keys and values of `context_len` positions.
double count_bytes(const Transformer& model, int64_t context_len);

// The larger of the time to read the bytes and the time to do the operations (Williams et al., "Roofline", 2009), in
// milliseconds; NaN where a rate was not measured.
double predict_pass_ms(const Transformer& model, const MachineRates& rates, int64_t new_tokens, int64_t context_len);

}  // namespace llm
