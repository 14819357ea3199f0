// The sum of each row: all that it takes is reading, so it shows how fast a device reads.
#pragma once

#include "common/tensor/tensor.h"

namespace llm {

// x [rows, width] f32   out [rows] f32
using SumRowsFn = void (*)(TensorView x, TensorView out);

namespace cpu {
void sum_rows(TensorView x, TensorView out);
}  // namespace cpu

}  // namespace llm
