// Cosines and sines of every position's rotation angles.
#pragma once

#include "common/model/config.h"
#include "common/tensor/tensor.h"

namespace llm {

// [context_length, head_dim] f32: a row's first half holds cos(position · frequency_i), its second half the sines.
// Angles are computed in f32 from f32 frequencies, as Hugging Face does, so that long contexts agree with it.
Tensor make_rope_table(const ModelConfig& config);

}  // namespace llm
