#include "common/program/predict.h"

#include <algorithm>
#include <limits>

#include "common/program/machine.h"

namespace llm {

MachineRates measure_rates(const Transformer& model) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  constexpr size_t kMostBytes = size_t{1} << 30;  // of a GPU's memory: many times its last cache
  const Device device = model.device();
  if (device == Device::simt) return {kNone, kNone};
  const size_t bytes = model.weights().bytes_per_step();
  const int64_t many_rows = device == Device::cpu ? 128 : 1024;  // so many that arithmetic is what bounds them
  return {measure_read_bandwidth(device == Device::cpu ? bytes : std::min(bytes, kMostBytes), device),
          measure_matmul_rate(many_rows, model.weights().layers.front().gate_up, device)};
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
