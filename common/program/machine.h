// What this machine can do, measured: what predictions are made from.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/tensor/tensor.h"

namespace llm {

// Reads a buffer of its own from end to end, by all OpenMP threads: what a step that only has to read so many bytes
// would take. A buffer smaller than the last cache is read from there.
class ReadPass {
 public:
  explicit ReadPass(size_t bytes);

  float run() const;  // the sum of the buffer's numbers, none of which is zero
  size_t nbytes() const { return numbers_.view().nbytes(); }

 private:
  Tensor numbers_;
};

// Bytes per second of a ReadPass over so many: the best of several.
double measure_read_bandwidth(size_t bytes);

// Floating-point operations per second of our own matrix product with an f32 weight [out_features, in_features], by all
// OpenMP threads: the best of several runs.
double measure_matmul_rate(int64_t rows, int64_t in_features, int64_t out_features);

}  // namespace llm
