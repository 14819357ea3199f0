// Everything that is measured of one variant: a text, its cache, its speed at other lengths and batch sizes.
#pragma once

#include "chapters/01_naive_generation/reference.h"
#include "chapters/05_grouped_query_attention/decode_speed.h"
#include "chapters/05_grouped_query_attention/variants.h"
#include "common/program/generation.h"
#include "common/program/same_output.h"

namespace llm {

struct DecodePoint {
  DecodeShape shape;
  double bytes_per_token;       // to be read
  double predicted_rate, rate;  // tokens a second of all texts together; NaN: not measured
};

struct VariantRun {
  Generation generation;
  int64_t max_length;     // of the text
  size_t kv_bytes;        // of its cache
  ReferenceOutput naive;  // chapter 1's method on the same weights
  Comparison comparison;  // with it
  std::vector<DecodePoint> decode;
};

// Streams a text out of chapter 2's cache, as it is made, and compares it with chapter 1. `options.reference` is used
// for the model as it was given alone. On the CPU attention is chapter 1's loop; on a GPU chapter 4's, whose
// flash_decoding reads a group's keys once.
VariantRun run_variant(const Variant& variant, const LoadedModel& loaded, Options options);

// The lengths and batch sizes at which the speed is measured: an eighth and seven eighths of the context, of 4,096
// tokens at most; with `sweep` more. None for the simulator, which has no speed.
std::vector<DecodeShape> decode_shapes(const ModelConfig& config, Device device, bool sweep);

std::vector<DecodePoint> measure_decode(const Transformer& model, const MachineRates& rates,
                                        const std::vector<DecodeShape>& shapes);

}  // namespace llm
