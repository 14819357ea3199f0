#include "common/program/predict.h"

#include <algorithm>

#include "common/program/machine.h"

namespace llm {

MachineRates measure_rates(const Transformer& model) {
  const ModelConfig& c = model.config();
  constexpr int64_t kManyRows = 128;
  return {measure_read_bandwidth(model.weights().bytes_per_step()),
          measure_matmul_rate(kManyRows, c.hidden_size, 2 * c.intermediate_size)};
}

double count_flops(const ModelConfig& c, int64_t new_tokens, int64_t context_len) {
  const double attention_out = static_cast<double>(c.hidden_size) * c.num_heads * c.head_dim;
  const double layer_weights =
      static_cast<double>(c.hidden_size) * c.qkv_size() + attention_out + 3.0 * c.hidden_size * c.intermediate_size;
  const double n = static_cast<double>(new_tokens);
  const double keys_seen = n * static_cast<double>(context_len - new_tokens) + n * (n + 1.0) / 2.0;
  const double per_layer = 2.0 * layer_weights * n + 4.0 * c.num_heads * c.head_dim * keys_seen;
  return c.num_layers * per_layer + 2.0 * c.vocab_size * c.hidden_size;
}

double count_bytes(const Transformer& model, int64_t context_len) {
  const int64_t kv_bytes = model.config().kv_bytes_per_token(size_of(model.dtype())) * context_len;
  return static_cast<double>(model.weights().bytes_per_step()) + static_cast<double>(kv_bytes);
}

// region: predict_pass_ms
double predict_pass_ms(const Transformer& model, const MachineRates& rates, int64_t new_tokens, int64_t context_len) {
  const double reading = count_bytes(model, context_len) / rates.bytes_per_second;
  const double computing = count_flops(model.config(), new_tokens, context_len) / rates.flops_per_second;
  return 1000.0 * std::max(reading, computing);
}
// endregion

}  // namespace llm
