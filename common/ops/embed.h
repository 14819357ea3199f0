// Rows picked out of a table: a token's embedding, and the rows whose logits are wanted.
#pragma once

#include "common/tensor/tensor.h"

namespace llm {

// out[i] = table[tokens[i]], widened to out's dtype.
//   tokens [num_tokens] i32, each in [0, vocab_size)   table [vocab_size, hidden_size] any float dtype
//   out [num_tokens, hidden_size]
using EmbedFn = void (*)(Int32View tokens, TensorView table, TensorView out);

// out[i] = x[rows[i]].   x [num_tokens, width]   rows [n] i32   out [n, width], the dtype of x
using GatherRowsFn = void (*)(TensorView x, Int32View rows, TensorView out);

namespace cpu {
void embed(Int32View tokens, TensorView table, TensorView out);
void gather_rows(TensorView x, Int32View rows, TensorView out);
}  // namespace cpu

}  // namespace llm
