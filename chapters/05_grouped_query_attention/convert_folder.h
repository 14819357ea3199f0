// From a Hugging Face folder to one of the same model with another number of KV heads.
#pragma once

#include <filesystem>

#include "chapters/05_grouped_query_attention/head_pooling.h"

namespace llm {

// Writes the folder `to`, which must not be there or be empty: config.json with the new number, all weights in one
// model.safetensors and in the formats they had, and the files that say how text becomes tokens and how to generate.
// Throws InputError; then nothing is written.
void convert_folder(const std::filesystem::path& from, const std::filesystem::path& to, int num_kv_heads,
                    Pooling pooling);

}  // namespace llm
