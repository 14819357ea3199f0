// The numbers behind a KvMemory: K and V of every layer, in slots.
#pragma once

#include "common/model/config.h"
#include "common/tensor/tensor.h"

namespace llm {

// Which slot belongs to whom is the KvMemory's business.
struct KvStorage {
  KvStorage(const ModelConfig& config, int64_t num_slots, DType dtype, Device device = Device::cpu);

  TensorView k(int layer) const;  // [num_slots, kv_heads, head_dim]
  TensorView v(int layer) const;  // [num_slots, kv_heads, head_dim]
  size_t nbytes() const { return keys.view().nbytes() + values.view().nbytes(); }

  Tensor keys, values;  // [layers, num_slots, kv_heads, head_dim]
};

}  // namespace llm
