// What a device can do, measured: what predictions are made from.
#pragma once

#include <cstddef>

#include "common/ops/ops.h"

namespace llm {

// Reads a buffer of its own on a device from end to end: what a step that only has to read so many bytes would take. A
// buffer smaller than the last cache is read from there.
class ReadPass {
 public:
  explicit ReadPass(size_t bytes, Device device = Device::cpu);  // rounded up to full rows

  void run() const;                                // on a GPU it is only started
  TensorView numbers() const { return numbers_; }  // [rows, width], none of them zero
  TensorView sums() const { return sums_; }        // [rows], after a run

 private:
  const Ops& ops_;
  Tensor numbers_, sums_;
};

// Bytes per second of a ReadPass over so many, on the CPU by all OpenMP threads: the best of several.
double measure_read_bandwidth(size_t bytes, Device device = Device::cpu);

// Floating-point operations per second of our product of so many rows with `weight`: the best of several.
double measure_matmul_rate(int64_t rows, const Matrix& weight, Device device = Device::cpu);

}  // namespace llm
