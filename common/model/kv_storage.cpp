#include "common/model/kv_storage.h"

namespace llm {

namespace {

TensorView layer_of(TensorView all, int layer) {
  return all.rows(layer, layer + 1).reshaped({all.dim(1), all.dim(2), all.dim(3)});
}

}  // namespace

KvStorage::KvStorage(const ModelConfig& config, int64_t num_slots, DType dtype, Device device)
    : keys({config.num_layers, num_slots, config.num_kv_heads, config.head_dim}, dtype, device),
      values({config.num_layers, num_slots, config.num_kv_heads, config.head_dim}, dtype, device) {}

TensorView KvStorage::k(int layer) const { return layer_of(keys, layer); }
TensorView KvStorage::v(int layer) const { return layer_of(values, layer); }

}  // namespace llm
