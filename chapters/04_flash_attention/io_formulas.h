// How many bytes each step moves between memory and chip, by formula: beside what the simulator counts.
// N queries over N keys, not causal, one head of d numbers; tiles of B rows hold M = 4·B·d numbers or so, so that
// N²·d/B, what flash attention reads, is the paper's Θ(N²·d²/M). Standard attention's N² does not get smaller with M.
#pragma once

#include <cstdint>

namespace llm {

struct MemoryTraffic {
  int64_t bytes_read = 0, bytes_written = 0;
};

struct TrafficShape {
  int64_t n, head_dim;
  int64_t tile;   // B
  int64_t bytes;  // of a number of q, k, v and out
};

// 2·N²·d/B for the tiles of Q and K, N² of scores three times for the softmax and once more with N²·d/B of V for the
// sum; N² of scores and of probabilities are written, and N·d.
MemoryTraffic standard_attention_traffic(const TrafficShape& shape);

// K and V once; Q and O, l and m once for each tile of keys. O is written as often, and read once less.
MemoryTraffic flash_attention_1_traffic(const TrafficShape& shape);

// Q and O once; K and V once for each tile of queries.
MemoryTraffic flash_attention_2_traffic(const TrafficShape& shape);

}  // namespace llm
