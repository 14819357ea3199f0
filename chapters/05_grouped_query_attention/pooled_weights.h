// A model's weights with fewer KV heads, made as they are asked for.
#pragma once

#include "chapters/05_grouped_query_attention/head_pooling.h"
#include "common/model/weight_source.h"

namespace llm {

// Hands on what `source`, a model of the shape `config`, has, all but the matrices and biases that make keys and
// values: those come out with `num_kv_heads` heads. A norm of each head's key (Qwen3) is the same for all heads and
// stays.
class PooledWeights : public WeightSource {
 public:
  PooledWeights(WeightSource& source, const ModelConfig& config, int num_kv_heads, Pooling pooling)
      : source_(source), from_heads_(config.num_kv_heads), to_heads_(num_kv_heads), pooling_(pooling) {}

  static bool is_pooled(const std::string& name);  // whether it makes keys or values

  Tensor get(const std::string& name, Shape shape) override;
  Tensor get_on(Device device, const std::string& name, Shape shape) override;

 private:
  WeightSource& source_;
  int from_heads_, to_heads_;
  Pooling pooling_;
};

}  // namespace llm
