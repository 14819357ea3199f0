// Draft and target must mean the same tokens by the same ids.
#pragma once

#include "common/program/loaded_model.h"

namespace llm {

// Throws InputError where they don't. Random weights have no tokenizer: the sizes are compared.
void check_shared_vocabulary(const LoadedModel& target, const LoadedModel& draft);

}  // namespace llm
