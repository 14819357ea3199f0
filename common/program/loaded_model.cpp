#include "common/program/loaded_model.h"

#include <charconv>
#include <random>

#include "common/json/json.h"
#include "common/model/random_weights.h"
#include "common/model/safetensors.h"
#include "common/program/kernel_counts.h"
#include "common/program/warm_up.h"

namespace llm {

namespace {

constexpr std::string_view kRandomPrefix = "random:";
constexpr int kRandomPromptTokens = 16;

// The simulator is slow: it gets the smaller one.
const char* embedded_model(Device device) { return device == Device::simt ? "models/stories-draft" : "models/stories"; }

std::vector<int32_t> parse_token_ids(const std::string& text) {
  std::vector<int32_t> ids;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    int32_t id = 0;
    const auto [next, error] = std::from_chars(at, end, id);
    if (error != std::errc{} || (next != end && (*next != ',' || next + 1 == end))) {
      fail_input("--tokens is \"{}\", but must be token ids with commas between, such as 0,412,88", text);
    }
    ids.push_back(id);
    at = next == end ? end : next + 1;
  }
  return ids;
}

std::vector<int32_t> random_token_ids(int vocab_size, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<int32_t> ids(kRandomPromptTokens);
  for (int32_t& id : ids) id = static_cast<int32_t>(random() % static_cast<uint64_t>(vocab_size));
  return ids;
}

}  // namespace

std::string LoadedModel::text(const std::vector<int32_t>& token_ids) const {
  return tokenizer ? tokenizer->decode(token_ids) : "";
}

std::optional<std::filesystem::path> find_embedded(const char* name) {
  std::error_code error;
  if (std::filesystem::is_directory(name, error)) return name;
  std::filesystem::path folder = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  for (; folder.has_relative_path(); folder = folder.parent_path()) {
    if (std::filesystem::is_directory(folder / name, error)) return folder / name;
  }
  return std::nullopt;
}

std::filesystem::path embedded_folder(const char* name) {
  if (const auto folder = find_embedded(name)) return *folder;
  fail_input("there is no folder {} here; start in the project's folder or name another model", name);
}

std::filesystem::path model_folder(const std::string& asked, Device device, const char* flag) {
  if (asked.empty()) return embedded_folder(embedded_model(device));
  std::error_code error;
  if (!std::filesystem::is_directory(asked, error)) {
    fail_input("{} is {}, but there is no such folder; give a Hugging Face folder, or random: and one of {}", flag,
               asked, fmt::join(random_shape_names(), ", "));
  }
  return asked;
}

ModelSource open_model(const std::string& asked, Device device, const char* flag) {
  const std::string name = asked.empty() ? embedded_model(device) : asked;
  if (name.starts_with(kRandomPrefix)) {
    return {name, random_shape(name.substr(kRandomPrefix.size())), make_random_weights(0), nullptr};
  }
  const std::filesystem::path folder = model_folder(asked, device, flag);
  const ModelConfig config = ModelConfig::load(folder);
  auto tokenizer = std::make_shared<Tokenizer>(Tokenizer::load(folder));
  return {name, config, std::make_shared<SafetensorsFolder>(folder), std::move(tokenizer)};
}

LoadedModel load_model(const ModelSource& source, DType dtype, Device device) {
  const auto transformer = std::make_shared<Transformer>(source.config, *source.weights, dtype, device);
  if (device == Device::cuda) warm_up(*transformer);
  return {source.name, transformer, source.tokenizer};
}

LoadedModel load_model(const std::string& asked, DType dtype, Device device, const char* flag) {
  return load_model(open_model(asked, device, flag), dtype, device);
}

LoadedModel load_model(const Options& options) {
  LoadedModel model = load_model(options.model, options.dtype, options.device);
  start_kernel_counts(options.device);
  return model;
}

void check_token_ids(const LoadedModel& model, const std::vector<int32_t>& ids, const std::string& source) {
  const int vocab_size = model.config().vocab_size;
  for (const int32_t id : ids) {
    if (id < 0 || id >= vocab_size) {
      fail_input("{} has the token id {}, but {} has ids from 0 to {}; give others, or the tokenizer of this model",
                 source, id, model.name, vocab_size - 1);
    }
  }
}

std::vector<int32_t> prompt_token_ids(const LoadedModel& model, const Options& options) {
  const ModelConfig& config = model.config();
  const bool from_file = !options.prompt_file.empty();
  const std::string source = !options.tokens.empty() ? "--tokens" : from_file ? "--prompt-file" : "--prompt";
  std::vector<int32_t> ids;
  if (!options.tokens.empty()) {
    ids = parse_token_ids(options.tokens);
  } else if (model.tokenizer) {
    const std::string text = from_file ? read_file(options.prompt_file) : options.prompt;
    if (text.empty()) fail_input("{} is empty; give at least one character", source);
    ids = model.tokenizer->encode(text);
  } else if (from_file || options.prompt != Options().prompt) {
    fail_input("{} is text, but {} has no tokenizer; give --tokens instead", source, model.name);
  } else {
    ids = random_token_ids(config.vocab_size, options.sampling.seed);
  }
  check_token_ids(model, ids, source);
  if (ids.empty()) fail_input("the prompt has no tokens; give at least one");
  if (static_cast<int64_t>(ids.size()) >= config.context_length) {
    fail_input("the prompt has {} tokens, but {} has room for {} and one of them must be new; shorten the prompt",
               ids.size(), model.name, config.context_length);
  }
  return ids;
}

}  // namespace llm
