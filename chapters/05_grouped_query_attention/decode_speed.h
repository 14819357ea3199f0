// How fast a model decodes when so many texts of such a length stand in the cache.
#pragma once

#include "common/program/predict.h"

namespace llm {

inline constexpr int kDecodeSteps = 12;  // at most

struct DecodeShape {
  int64_t context_len;  // of each text, its new token among them; 2 or more
  int64_t batch;        // texts
};

// What a step must read: the weights once for all texts, each text's keys and values for it alone.
double count_bytes_per_token(const Transformer& model, const DecodeShape& shape);

// By the roofline: those bytes, and the operations of all texts.
double predict_decode_rate(const Transformer& model, const MachineRates& rates, const DecodeShape& shape);

// Tokens a second of all texts together, from the median of several steps, kDecodeSteps of them at most, for which the
// model's context must have room; keys and values are random numbers.
double measure_decode_rate(const Transformer& model, AttendFn attend, const DecodeShape& shape);

// `tokens` rounded up to whole blocks of 16.
int64_t round_to_blocks(int64_t tokens);

// How many texts of that length find room in so many bytes of KV memory, in such blocks: by arithmetic, and by taking
// blocks until there are none.
int64_t predict_largest_batch(const ModelConfig& config, DType dtype, int64_t context_len, int64_t budget_bytes);
int64_t measure_largest_batch(const ModelConfig& config, DType dtype, int64_t context_len, int64_t budget_bytes);

}  // namespace llm
