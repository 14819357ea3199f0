#include "common/model/transformer.h"

#include "common/model/rope_table.h"
#include "common/tensor/device_memory.h"

namespace llm {

Transformer::Transformer(ModelConfig config, WeightSource& source, DType dtype, Device device)
    : config_(std::move(config)),
      dtype_(dtype),
      device_(device),
      activation_dtype_(device == Device::cpu ? DType::f32 : dtype),
      ops_(ops_for(device)),
      weights_(load_weights(config_, source, dtype, device)),
      rope_cos_sin_(to_device(make_rope_table(config_), device)) {}

// region: forward
void Transformer::forward(const Batch& batch, KvMemory& memory, AttendFn attend, Workspace& workspace,
                          TensorView logits) const {
  const ModelConfig& c = config_;
  const int64_t n = batch.num_tokens();

  workspace.reset();
  batch.upload();
  const TensorView x = workspace.take({n, c.hidden_size}, DType::f32);  // the residual stream
  const TensorView normed = workspace.take({n, c.hidden_size}, activation_dtype_);
  const TensorView delta = workspace.take({n, c.hidden_size}, DType::f32);  // what a sublayer adds to x
  const TensorView qkv = workspace.take({n, c.qkv_size()}, DType::f32);
  const TensorView q = workspace.take({n, c.num_heads, c.head_dim}, activation_dtype_);
  const TensorView attended = workspace.take({n, c.num_heads, c.head_dim}, activation_dtype_);
  const TensorView gate_up = workspace.take({n, 2 * c.intermediate_size}, DType::f32);
  const TensorView hidden = workspace.take({n, c.intermediate_size}, activation_dtype_);

  ops_.embed(batch.tokens.view(), weights_.embedding, x);
  TensorView pending;  // the sublayer output that the next norm adds to x: none before the first

  for (int i = 0; i < c.num_layers; ++i) {
    const LayerWeights& layer = weights_.layers[static_cast<size_t>(i)];

    ops_.add_rmsnorm(x, pending, layer.attention_norm, c.rms_norm_eps, normed);
    ops_.matmul(normed, layer.qkv, layer.qkv_bias, qkv);
    const KvView kv = memory.layer(i);
    ops_.rope_and_store(qkv, batch.positions.view(), {rope_cos_sin_, layer.q_norm, layer.k_norm, c.rms_norm_eps}, q,
                        kv);
    {
      const Workspace::Scope scratch(workspace);
      attend(batch, q, kv, workspace, attended);
    }
    ops_.matmul(attended.reshaped({n, c.num_heads * c.head_dim}), layer.attention_out, {}, delta);

    ops_.add_rmsnorm(x, delta, layer.ffn_norm, c.rms_norm_eps, normed);
    ops_.swiglu_matmul(normed, layer.gate_up, gate_up, hidden);
    ops_.matmul(hidden, layer.down, {}, delta);
    pending = delta;
  }

  if (batch.num_logits() == 0) return;
  TensorView last_x = x, last_delta = delta;
  if (batch.num_logits() < n) {
    last_x = workspace.take({batch.num_logits(), c.hidden_size}, DType::f32);
    last_delta = workspace.take({batch.num_logits(), c.hidden_size}, DType::f32);
    ops_.gather_rows(x, batch.logit_rows.view(), last_x);
    ops_.gather_rows(delta, batch.logit_rows.view(), last_delta);
  }
  const TensorView last_normed = workspace.take({batch.num_logits(), c.hidden_size}, activation_dtype_);
  ops_.add_rmsnorm(last_x, last_delta, weights_.final_norm, c.rms_norm_eps, last_normed);
  ops_.matmul(last_normed, weights_.lm_head, {}, logits);
}
// endregion

}  // namespace llm
