#include "chapters/05_grouped_query_attention/convert_folder.h"

#include <unistd.h>

#include "chapters/05_grouped_query_attention/pooled_weights.h"
#include "common/json/json.h"
#include "common/model/safetensors.h"

namespace llm {

namespace {

namespace fs = std::filesystem;

// Beside config.json and the weights; a card or a log would speak of another model.
constexpr const char* kCopied[] = {"tokenizer.json",
                                   "tokenizer_config.json",
                                   "tokenizer.model",
                                   "special_tokens_map.json",
                                   "added_tokens.json",
                                   "vocab.json",
                                   "merges.txt",
                                   "chat_template.jinja",
                                   "generation_config.json"};

// A folder that gets its name when it is whole, and goes away where it does not.
class UnfinishedFolder {
 public:
  explicit UnfinishedFolder(const fs::path& final) : final_(final), path_(final) {
    std::error_code error;
    if (fs::exists(final, error) && !fs::is_empty(final, error)) {
      fail_input("--convert is {}, which is there already; name a new folder", final.string());
    }
    path_ += fmt::format(".{}.part", getpid());
    if (!fs::create_directory(path_, error)) {
      fail_input("--convert is {}, but no folder can be made there; name one in a folder that may be written to",
                 final.string());
    }
  }
  ~UnfinishedFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  UnfinishedFolder(const UnfinishedFolder&) = delete;
  UnfinishedFolder& operator=(const UnfinishedFolder&) = delete;

  const fs::path& path() const { return path_; }
  void finish() {
    std::error_code error;
    fs::rename(path_, final_, error);
    if (error) fail_input("--convert is {}, but can't be given that name; name a new folder", final_.string());
  }

 private:
  fs::path final_, path_;
};

void write_config(const fs::path& from, const fs::path& to, int num_kv_heads) {
  Json config = Json::parse_file(from / "config.json");
  write_file(to / "config.json", config.set("num_key_value_heads", num_kv_heads).dump() + "\n");
}

// region: convert_weights
void convert_weights(const fs::path& from, const fs::path& to, const ModelConfig& config, int num_kv_heads,
                     Pooling pooling) {
  SafetensorsFolder source(from);
  PooledWeights pooled(source, config, num_kv_heads, pooling);
  std::vector<StoredTensor> tensors;
  for (const std::string& name : source.names()) {
    if (!PooledWeights::is_pooled(name)) tensors.push_back(source.stored(name));
  }
  const int64_t rows = int64_t{num_kv_heads} * config.head_dim;
  for (int layer = 0; layer < config.num_layers; ++layer) {
    for (const char* kind : {"k_proj", "v_proj"}) {
      const std::string name = fmt::format("model.layers.{}.self_attn.{}", layer, kind);
      tensors.push_back(stored_tensor(name + ".weight", pooled.get(name + ".weight", {rows, config.hidden_size})));
      if (config.attention_bias) tensors.push_back(stored_tensor(name + ".bias", pooled.get(name + ".bias", {rows})));
    }
  }
  write_safetensors(to / "model.safetensors", std::move(tensors));
}
// endregion

}  // namespace

void convert_folder(const fs::path& from, const fs::path& to, int num_kv_heads, Pooling pooling) {
  const ModelConfig config = ModelConfig::load(from);
  with_kv_heads(config, num_kv_heads);  // or says that it can't be
  UnfinishedFolder folder(to.has_filename() ? to : to.parent_path());
  write_config(from, folder.path(), num_kv_heads);
  convert_weights(from, folder.path(), config, num_kv_heads, pooling);
  for (const char* name : kCopied) {
    std::error_code error;
    if (fs::exists(from / name, error)) write_file(folder.path() / name, read_file(from / name));
  }
  folder.finish();
}

}  // namespace llm
