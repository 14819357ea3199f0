#include "chapters/04_flash_attention/io_formulas.h"

namespace llm {

namespace {

constexpr int64_t kStandardTile = 32;  // its own, whatever tile is asked for
constexpr int64_t kF32Bytes = 4;       // of O, l and m while they wait, and of log_sum_exp

int64_t tiles_of(int64_t n, int64_t tile) { return (n + tile - 1) / tile; }

}  // namespace

// region: traffic
MemoryTraffic standard_attention_traffic(const TrafficShape& s) {
  const int64_t scores = s.n * s.n, rows = s.n * s.head_dim, tiles = tiles_of(s.n, kStandardTile);
  return {s.bytes * (2 * tiles * rows + 3 * scores + scores + tiles * rows),
          s.bytes * (scores + scores + rows) + kF32Bytes * s.n};
}

MemoryTraffic flash_attention_1_traffic(const TrafficShape& s) {
  const int64_t rows = s.n * s.head_dim, tiles = tiles_of(s.n, s.tile), waits = tiles - 1;
  return {s.bytes * (2 * rows + tiles * rows) + kF32Bytes * waits * (rows + 2 * s.n),
          s.bytes * rows + kF32Bytes * s.n + kF32Bytes * waits * (rows + 2 * s.n)};
}

MemoryTraffic flash_attention_2_traffic(const TrafficShape& s) {
  const int64_t rows = s.n * s.head_dim, tiles = tiles_of(s.n, s.tile);
  return {s.bytes * (rows + 2 * tiles * rows), s.bytes * rows + kF32Bytes * s.n};
}
// endregion

}  // namespace llm
