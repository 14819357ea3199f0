// Where one layer's keys and values stand: the one form that every attention kernel reads.
#pragma once

#include "common/tensor/tensor.h"

namespace llm {

// region: kv_view
// A contiguous cache is a table with one long block per sequence.
// The key at position p of the batch's sequence s stands in slot block_table[s][p / block_size] · block_size + p %
// block_size.
struct KvView {
  TensorView k, v;        // [num_slots, kv_heads, head_dim]
  Int32View slots;        // [num_tokens] where this step's keys and values are written
  Int32View block_table;  // [num_seqs, max_blocks]
  int block_size = 0;
};
// endregion

}  // namespace llm
