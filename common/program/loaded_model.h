// A model with its tokenizer, as the command line asked for it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/model/transformer.h"
#include "common/program/options.h"
#include "common/tokenizer/tokenizer.h"

namespace llm {

struct LoadedModel {
  std::string name;  // as it was asked for
  std::shared_ptr<const Transformer> transformer;
  std::shared_ptr<const Tokenizer> tokenizer;  // none for random weights

  const ModelConfig& config() const { return transformer->config(); }
  // The text of tokens, special ones left out; empty where there is no tokenizer.
  std::string text(const std::vector<int32_t>& token_ids) const;
};

// A folder of the project, such as "models/stories", looked for in the current folder and then beside the program and
// above it.
std::optional<std::filesystem::path> find_embedded(const char* name);
// The same. Throws InputError where there is none.
std::filesystem::path embedded_folder(const char* name);

// The Hugging Face folder that `flag` asked for, or an embedded one: models/stories where `asked` is empty, for the
// simulator models/stories-draft. Throws InputError where there is no such folder.
std::filesystem::path model_folder(const std::string& asked, Device device, const char* flag = "--model");

// A model before its weights are read.
struct ModelSource {
  std::string name;  // as it was asked for
  ModelConfig config;
  std::shared_ptr<WeightSource> weights;
  std::shared_ptr<const Tokenizer> tokenizer;  // none for random weights
};

// A Hugging Face folder or "random:NAME", which `flag` asked for. Throws InputError.
ModelSource open_model(const std::string& asked, Device device, const char* flag = "--model");

LoadedModel load_model(const ModelSource& source, DType dtype, Device device);
LoadedModel load_model(const std::string& asked, DType dtype, Device device, const char* flag = "--model");
// What the program's kernels do from now on is counted where --device is simt.
LoadedModel load_model(const Options& options);

// Throws InputError where an id is outside the model's vocabulary; `source` is the flag or file that it came from.
void check_token_ids(const LoadedModel& model, const std::vector<int32_t>& ids, const std::string& source);

// The ids of --tokens, --prompt-file or --prompt, checked against the vocabulary and the context. Random weights have
// no tokenizer: without --tokens they get seeded random ids. Throws InputError.
std::vector<int32_t> prompt_token_ids(const LoadedModel& model, const Options& options);

}  // namespace llm
