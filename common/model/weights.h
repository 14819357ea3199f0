// A model's weights, ready for the operators of one device.
#pragma once

#include <vector>

#include "common/model/config.h"
#include "common/model/weight_source.h"
#include "common/ops/ops.h"

namespace llm {

struct LayerWeights {
  Tensor attention_norm;  // [hidden_size]
  Matrix qkv;             // [(heads + 2 · kv_heads) · head_dim, hidden_size]: Q on K on V
  Tensor qkv_bias;        // [(heads + 2 · kv_heads) · head_dim] or empty
  Tensor q_norm, k_norm;  // [head_dim] or empty
  Matrix attention_out;   // [hidden_size, heads · head_dim]
  Tensor ffn_norm;        // [hidden_size]
  Matrix gate_up;         // [2 · intermediate_size, hidden_size]: gate on up
  Matrix down;            // [hidden_size, intermediate_size]
};

struct Weights {
  // [vocab_size, hidden_size], in the source's dtype; a tied one may be lm_head's memory, and then has its dtype
  Tensor embedding;
  std::vector<LayerWeights> layers;
  Tensor final_norm;  // [hidden_size]
  Matrix lm_head;     // [vocab_size, hidden_size]

  // Bytes that a one-token step reads: every matrix, bias and norm once, one row of the embedding.
  size_t bytes_per_step() const;
};

// Names, shapes and stacking of the Hugging Face checkpoints. Matrices become `dtype` (f32 or bf16), norms and biases
// f32. Throws InputError naming the tensor that is absent or has another shape.
Weights load_weights(const ModelConfig& config, WeightSource& source, DType dtype, Device device);

}  // namespace llm
