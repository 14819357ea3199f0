// Rotary position embedding, fused with the write of K and V into the slots that the memory names.
// Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", 2021.
#pragma once

#include "common/tensor/kv_view.h"
#include "common/tensor/tensor.h"

namespace llm {

// What happens to a layer's queries, keys and values between their projection and attention.
struct RopeParams {
  TensorView cos_sin;         // [context_length, head_dim] f32: cosines in the first half of a row, sines in the second
  TensorView q_norm, k_norm;  // [head_dim] f32, or empty: RMSNorm of each head's query and key before the rotation
  float norm_eps = 0.0f;
};

// Splits qkv, rotates Q and K by their positions, writes Q to `q` and K and V to kv's slots.
//   qkv [num_tokens, (heads + 2 · kv_heads) · head_dim], all queries, then all keys, then all values
//   positions [num_tokens] i32   q [num_tokens, heads, head_dim]
// Pairing: dimension i of a head turns together with i + head_dim/2 ("rotate half", as Hugging Face stores Llama
// weights), not with its neighbor as in the paper; the two differ by a permutation of the projection's rows.
using RopeAndStoreFn = void (*)(TensorView qkv, Int32View positions, const RopeParams& params, TensorView q,
                                const KvView& kv);

namespace cpu {
void rope_and_store(TensorView qkv, Int32View positions, const RopeParams& params, TensorView q, const KvView& kv);
}  // namespace cpu

}  // namespace llm
