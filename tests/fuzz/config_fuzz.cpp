// config.json, and after a zero byte generation_config.json.
#include "common/model/config.h"
#include "tests/fuzz/fuzzing.h"

namespace llm {

void fuzz(std::string_view input) {
  static const FuzzFolder folder;
  const size_t end = std::min(input.find('\0'), input.size());
  folder.write("config.json", input.substr(0, end));
  if (end < input.size()) {
    folder.write("generation_config.json", input.substr(end + 1));
  } else {
    folder.remove("generation_config.json");
  }
  accepts([&] {
    const ModelConfig config = ModelConfig::load(folder.path());
    check(config.hidden_size > 0 && config.num_layers > 0 && config.vocab_size > 0, "sizes are positive");
    check(config.num_kv_heads > 0 && config.num_heads % config.num_kv_heads == 0, "KV heads are shared evenly");
    check(config.head_dim > 0 && config.head_dim % 2 == 0, "RoPE finds pairs");
    check(config.context_length > 0 && config.rope_theta >= 1.0 && config.rms_norm_eps > 0, "positions can be used");
    check(config.qkv_size() > 0 && config.num_parameters() > 0 && config.kv_bytes_per_token(4) > 0,
          "no size overflows");
    for (const int32_t id : config.eos_token_ids) check(id >= 0 && id < config.vocab_size, "end-of-text is a token");
  });
}

}  // namespace llm
