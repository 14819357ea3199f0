// Seeded random weights of a real model's shape, for benchmarks only: `--model random:llama2c-15m`.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/model/config.h"
#include "common/model/weight_source.h"

namespace llm {

// The names that `random:` understands: llama2c-15m, llama2c-110m, smollm2-135m, llama-3.2-1b, llama-2-7b, llama-3-8b,
// llama-3-70b.
std::vector<std::string> random_shape_names();

// Throws InputError naming the known shapes.
ModelConfig random_shape(const std::string& name);

// Any tensor that is asked for, in bf16, as real checkpoints are stored, made when and where it is asked for. Its
// numbers depend on its name and the seed alone, and are the same to the last bit on every device: norm weights are 1,
// all else is uniform with variance 1 / (size of the last dimension), so that activations neither vanish nor grow.
std::shared_ptr<WeightSource> make_random_weights(uint64_t seed);

}  // namespace llm
