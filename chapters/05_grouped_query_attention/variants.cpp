#include "chapters/05_grouped_query_attention/variants.h"

#include <algorithm>

#include "chapters/05_grouped_query_attention/pooled_weights.h"

namespace llm {

namespace {

// Between one and all: a quarter of the heads, or what divides them next to that; 0 where there is none.
int between(const ModelConfig& config) {
  if (1 < config.num_kv_heads && config.num_kv_heads < config.num_heads) return config.num_kv_heads;
  const std::vector<int> possible = possible_kv_heads(config);
  for (const int most : {config.num_heads / 4, config.num_heads / 2}) {
    const auto found = std::find_if(possible.rbegin(), possible.rend(), [&](int heads) { return heads <= most; });
    if (found != possible.rend() && *found > 1) return *found;
  }
  return 0;
}

// The embedded model with so many KV heads that was trained on; empty where it is not there, or none belongs to
// this model.
std::filesystem::path uptrained_folder(const Options& options, int kv_heads) {
  if (!options.model.empty() || options.device == Device::simt) return {};
  const auto folder = find_embedded(kv_heads == 1 ? "models/stories-mqa" : "models/stories-gqa");
  return folder && ModelConfig::load(*folder).num_kv_heads == kv_heads ? *folder : std::filesystem::path();
}

Variant find_variant(const ModelSource& source, const Options& options, int kv_heads) {
  if (kv_heads == source.config.num_kv_heads) return {sharing_name(source.config), source.name, true, false, source};
  const std::filesystem::path folder = uptrained_folder(options, kv_heads);
  if (!folder.empty()) {
    ModelSource uptrained = open_model(folder, options.device);
    uptrained.name = "models/" + folder.filename().string();
    return {sharing_name(uptrained.config), uptrained.name + ", trained on", false, true, uptrained};
  }
  const ModelSource other = converted(source, kv_heads, Pooling::mean);
  const char* const how = kv_heads > source.config.num_kv_heads ? ", each repeated" : ", mean-pooled";
  return {sharing_name(other.config), source.name + how, false, false, other};
}

}  // namespace

const char* sharing_name(const ModelConfig& config) {
  return config.num_kv_heads == config.num_heads ? "MHA" : config.num_kv_heads == 1 ? "MQA" : "GQA";
}

ModelSource converted(const ModelSource& source, int num_kv_heads, Pooling pooling) {
  return {source.name, with_kv_heads(source.config, num_kv_heads),
          std::make_shared<PooledWeights>(*source.weights, source.config, num_kv_heads, pooling), source.tokenizer};
}

std::vector<Variant> find_variants(const ModelSource& source, const Options& options, int kv_heads) {
  const int num_between = kv_heads == 0 ? between(source.config) : with_kv_heads(source.config, kv_heads).num_kv_heads;
  std::vector<int> numbers = {source.config.num_heads, num_between, 1, source.config.num_kv_heads};
  std::ranges::sort(numbers, std::greater());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  std::vector<Variant> variants;
  for (const int number : numbers) {
    if (number > 0) variants.push_back(find_variant(source, options, number));
  }
  return variants;
}

}  // namespace llm
