// What the tests of speculation share: a target, drafters that agree with it now and then, and chapter 1's texts.
#pragma once

#include <memory>

#include "chapters/01_naive_generation/naive_generation.h"
#include "chapters/02_kv_cache/contiguous_kv_cache.h"
#include "chapters/03_paged_attention/paged_kv_cache.h"
#include "chapters/06_speculative_decoding/model_drafter.h"
#include "chapters/06_speculative_decoding/ngram_drafter.h"
#include "chapters/06_speculative_decoding/scripted_drafter.h"
#include "chapters/06_speculative_decoding/speculative_generation.h"
#include "tests/support/tiny_model.h"

namespace llm {

using Ids = std::vector<int32_t>;

// The target's weights with some noise: a draft model that is right more often than not.
class NoisyWeights : public WeightSource {
 public:
  NoisyWeights(uint64_t seed, float noise) : weights_(seed), other_(seed + 1000), noise_(noise) {}
  Tensor get(const std::string& name, Shape shape) override {
    const Tensor tensor = weights_.get(name, shape), other = other_.get(name, shape);
    for (int64_t i = 0; i < shape.numel(); ++i) tensor.view().as<float>()[i] += noise_ * other.view().as<float>()[i];
    return tensor;
  }

 private:
  SeededWeights weights_, other_;
  float noise_;
};

inline std::shared_ptr<const Transformer> noisy_transformer(const ModelConfig& config, uint64_t seed, float noise,
                                                            DType dtype = DType::f32, Device device = Device::cpu) {
  NoisyWeights weights(seed, noise);
  return std::make_shared<Transformer>(config, weights, dtype, device);
}

inline std::unique_ptr<KvMemory> make_memory(const Transformer& model, int32_t block_size, int32_t max_seqs) {
  const int32_t length = model.config().context_length;
  if (block_size == 0) {
    return std::make_unique<ContiguousKvCache>(model.config(), length, max_seqs, model.dtype(), model.device());
  }
  const int32_t num_blocks = max_seqs * ((length + block_size - 1) / block_size);
  const PagedKvCacheSize size{num_blocks, block_size, length, max_seqs};
  return std::make_unique<PagedKvCache>(model.config(), size, model.dtype(), model.device());
}

}  // namespace llm
