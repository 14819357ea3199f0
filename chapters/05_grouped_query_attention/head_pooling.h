// Fewer key and value heads out of many: what a checkpoint is converted by.
// Ainslie et al., "GQA: Training Generalized Multi-Query Transformer Models from Multi-Head Checkpoints", 2023.
#pragma once

#include <string>
#include <vector>

#include "common/model/config.h"
#include "common/tensor/tensor.h"

namespace llm {

// What a group's one head is made of: the mean of its members (section 2.1 of the paper), the first of them, or random
// numbers as large as theirs. The last two are there to compare.
enum class Pooling { mean, first, random };

inline const std::vector<std::string>& pooling_names() {
  static const std::vector<std::string> names = {"mean", "first", "random"};
  return names;
}

inline Pooling pooling_of(const std::string& name) {
  return name == "mean" ? Pooling::mean : name == "first" ? Pooling::first : Pooling::random;
}

// The numbers of KV heads that a model can be given: they divide its heads, and its own KV heads fall
// into groups of equal size, or each is repeated equally often.
std::vector<int> possible_kv_heads(const ModelConfig& config);

// The config with another number of KV heads. Throws InputError where that is not possible.
ModelConfig with_kv_heads(const ModelConfig& config, int num_kv_heads);

// `heads` stand one after the other in the outermost dimension: [from_heads · head_dim, hidden_size], or
// [from_heads · head_dim] for a bias. The result has `to_heads` of them, in the dtype of `heads`. Groups are of
// neighbors, as attention has them: head h belongs to group h / (from_heads / to_heads). With more heads than before
// each is repeated, which changes nothing of what the model says. `seed` is for random heads alone.
Tensor pool_heads(TensorView heads, int from_heads, int to_heads, Pooling pooling, const std::string& seed);

}  // namespace llm
