// Requests as a file: JSON Lines, one request a line.
#pragma once

#include <filesystem>
#include <vector>

#include "chapters/07_continuous_batching/request.h"
#include "common/program/loaded_model.h"

namespace llm {

// Fields: "id", and "prompt" or "prompt_token_ids"; what else may be there is in docs/07-continuous-batching.md.
// `defaults` holds for what a line leaves out. Throws InputError that names the file, the line, the field and the fix.
std::vector<Request> read_requests(const std::filesystem::path& path, const LoadedModel& model,
                                   const GenerationParams& defaults);

}  // namespace llm
