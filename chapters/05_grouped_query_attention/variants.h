// One model with many KV heads, with few and with one: what the program sets side by side.
#pragma once

#include "chapters/05_grouped_query_attention/head_pooling.h"
#include "common/program/loaded_model.h"

namespace llm {

// "MHA": a KV head for each head; "MQA": one for all; "GQA": between.
const char* sharing_name(const ModelConfig& config);

// `source`, which must outlive it, with another number of KV heads. Throws InputError where that is not
// possible.
ModelSource converted(const ModelSource& source, int num_kv_heads, Pooling pooling);

struct Variant {
  std::string name;    // MHA, GQA or MQA
  std::string origin;  // where its weights are from
  bool given;          // it is the model that was asked for, as it is
  bool uptrained;      // trained on after it was converted
  ModelSource source;
};

// A KV head for each head, between, and one for all, as far as they differ. `kv_heads` is the number between; 0:
// the model's own where that is between, else a quarter of its heads. The model itself is taken as it is, fewer heads
// are converted by their means, or more by repeating; of the embedded stories model (no --model) models/stories-gqa and
// models/stories-mqa are taken instead, where they are there. `source` must outlive them.
std::vector<Variant> find_variants(const ModelSource& source, const Options& options, int kv_heads);

}  // namespace llm
