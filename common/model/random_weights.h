// Seeded random weights of a real model's shape, for benchmarks only: `--model random:llama2c-15m`.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/model/config.h"
#include "common/model/safetensors.h"

namespace llm {

// The names that `random:` understands: llama2c-15m, llama2c-110m, smollm2-135m, llama-3.2-1b, llama-3-8b.
std::vector<std::string> random_shape_names();

// Throws InputError naming the known shapes.
ModelConfig random_shape(const std::string& name);

// Every tensor that a model of this config may ask for. A tensor's numbers depend on its name and the seed alone;
// matrices are scaled so that activations neither vanish nor grow.
std::shared_ptr<WeightSource> make_random_weights(const ModelConfig& config, uint64_t seed);

}  // namespace llm
