// How models that are in use share their heads.
#pragma once

#include <vector>

#include "common/model/config.h"

namespace llm {

// Name, layers, heads, KV heads and head_dim are those of the models' config.json files; of some models, which
// only this table knows, nothing else is set.
std::vector<ModelConfig> known_models();

}  // namespace llm
