// Random numbers that are a hash of their place: any thread makes any of them, and every device makes the same.
#pragma once

#include <cstdint>

#include "common/tensor/tensor.h"

namespace llm {

// out[row, column] is uniform in ±range and depends on `key`, row and column alone, to the last bit.
//   out [rows, columns] bf16
using FillRandomFn = void (*)(TensorView out, uint64_t key, float range);

// A good mixing of 32 bits, with two multiplications: Wellons, "Prospecting for Hash Functions", 2018.
constexpr uint32_t mix32(uint32_t x) {
  x = (x ^ (x >> 16)) * 0x7feb352du;
  x = (x ^ (x >> 15)) * 0x846ca68bu;
  return x ^ (x >> 16);
}

constexpr uint32_t random_row_key(uint64_t key, int64_t row) {
  return mix32(static_cast<uint32_t>(key >> 32) ^ mix32(static_cast<uint32_t>(key + static_cast<uint64_t>(row))));
}

constexpr float random_number(uint32_t row_key, int64_t column, float range) {
  const auto bits = static_cast<int32_t>(mix32(row_key + static_cast<uint32_t>(column)));
  return static_cast<float>(bits) * (range * 0x1p-31f);
}

namespace cpu {
void fill_random(TensorView out, uint64_t key, float range);
}  // namespace cpu

}  // namespace llm
