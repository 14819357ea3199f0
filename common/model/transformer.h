// The model's forward pass.
#pragma once

#include "common/model/kv_memory.h"
#include "common/model/weights.h"
#include "common/ops/attention.h"

namespace llm {

class Transformer {
 public:
  // `dtype` is that of the weight matrices, and of keys and values.
  Transformer(ModelConfig config, WeightSource& source, DType dtype, Device device = Device::cpu);

  // One step for all of the batch's new tokens: writes their keys and values to `memory`, whose begin_step(batch) the
  // caller has called, and the logits that the batch asks for to `logits` [num_logits, vocab_size], f32.
  // Scratch comes from `workspace`, which is reset.
  void forward(const Batch& batch, KvMemory& memory, AttendFn attend, Workspace& workspace, TensorView logits) const;

  const ModelConfig& config() const { return config_; }
  const Weights& weights() const { return weights_; }
  DType dtype() const { return dtype_; }
  // Of what a product reads: f32 on the CPU, whose product widens weights as it reads them; that of the weights on a
  // GPU, whose tensor cores want both alike. The residual stream and a product's result are f32 everywhere.
  DType activation_dtype() const { return activation_dtype_; }
  Device device() const { return device_; }
  const Ops& ops() const { return ops_; }

 private:
  ModelConfig config_;
  DType dtype_;
  Device device_;
  DType activation_dtype_;
  const Ops& ops_;
  Weights weights_;
  Tensor rope_cos_sin_;  // [context_length, head_dim]
};

}  // namespace llm
