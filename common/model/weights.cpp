#include "common/model/weights.h"

#include "common/ops/widen.h"
#include "common/tensor/device_memory.h"

namespace llm {

namespace {

// A tensor of a checkpoint that is stacked under others.
struct Part {
  std::string name;
  int64_t rows;
};

class Loader {
 public:
  Loader(WeightSource& source, DType dtype, Device device)
      : source_(source), ops_(ops_for(device)), dtype_(dtype), device_(device) {}

  // [sum of the parts' rows, in_features]. What the source hands out, on the device, is freed once it is packed.
  Matrix matrix(const std::vector<Part>& parts, int64_t in_features) {
    std::vector<Tensor> tensors;
    std::vector<TensorView> views;
    for (const Part& part : parts) {
      tensors.push_back(source_.get_on(device_, part.name, {part.rows, in_features}));
      views.push_back(tensors.back().view());
    }
    return ops_.make_matrix(views, dtype_);
  }

  // [rows, columns] as the source has it
  Tensor table(const std::string& name, int64_t rows, int64_t columns) {
    return source_.get_on(device_, name, {rows, columns});
  }

  // The output matrix that is the embedding's table as well. Where the device's layout is the table's, and no number
  // was rounded, they become one in memory too.
  Matrix tied(Tensor& table) {
    const TensorView part = table;
    Matrix matrix = ops_.make_matrix({&part, 1}, dtype_);
    const TensorView data = matrix.data;
    if (data.shape == part.shape && (data.dtype == part.dtype || data.dtype == DType::f32)) table = matrix.data;
    return matrix;
  }

  // [sum of the parts' rows], f32
  Tensor vector(const std::vector<Part>& parts) {
    int64_t size = 0;
    for (const Part& part : parts) size += part.rows;
    Tensor out({size}, DType::f32);
    float* to = out.view().as<float>();
    for (const Part& part : parts) {
      widen(source_.get(part.name, {part.rows}), 0, part.rows, to);
      to += part.rows;
    }
    return to_device(out, device_);
  }

 private:
  WeightSource& source_;
  const Ops& ops_;
  DType dtype_;
  Device device_;
};

LayerWeights load_layer(const ModelConfig& config, int index, Loader& loader) {
  const int64_t hidden = config.hidden_size, ffn = config.intermediate_size, head_dim = config.head_dim;
  const int64_t q_size = config.num_heads * head_dim, kv_size = config.num_kv_heads * head_dim;
  const std::string layer = fmt::format("model.layers.{}.", index);
  const std::string attention = layer + "self_attn.", mlp = layer + "mlp.";
  const auto qkv = [&](const std::string& kind) {
    return std::vector<Part>{{attention + "q_proj" + kind, q_size},
                             {attention + "k_proj" + kind, kv_size},
                             {attention + "v_proj" + kind, kv_size}};
  };

  LayerWeights weights;
  weights.attention_norm = loader.vector({{layer + "input_layernorm.weight", hidden}});
  weights.qkv = loader.matrix(qkv(".weight"), hidden);
  if (config.attention_bias) weights.qkv_bias = loader.vector(qkv(".bias"));
  if (config.qk_norm) {
    weights.q_norm = loader.vector({{attention + "q_norm.weight", head_dim}});
    weights.k_norm = loader.vector({{attention + "k_norm.weight", head_dim}});
  }
  weights.attention_out = loader.matrix({{attention + "o_proj.weight", hidden}}, q_size);
  weights.ffn_norm = loader.vector({{layer + "post_attention_layernorm.weight", hidden}});
  weights.gate_up = loader.matrix({{mlp + "gate_proj.weight", ffn}, {mlp + "up_proj.weight", ffn}}, hidden);
  weights.down = loader.matrix({{mlp + "down_proj.weight", hidden}}, ffn);
  return weights;
}

size_t bytes_of(const Matrix& matrix) {  // without what a layout adds to fill its panels
  return static_cast<size_t>(matrix.out_features * matrix.in_features) * size_of(matrix.data.view().dtype);
}

}  // namespace

Weights load_weights(const ModelConfig& config, WeightSource& source, DType dtype, Device device) {
  Loader loader(source, dtype, device);
  Weights weights;
  weights.embedding = loader.table("model.embed_tokens.weight", config.vocab_size, config.hidden_size);
  weights.lm_head = config.tied_embeddings ? loader.tied(weights.embedding)
                                           : loader.matrix({{"lm_head.weight", config.vocab_size}}, config.hidden_size);
  for (int i = 0; i < config.num_layers; ++i) weights.layers.push_back(load_layer(config, i, loader));
  weights.final_norm = loader.vector({{"model.norm.weight", config.hidden_size}});
  return weights;
}

size_t Weights::bytes_per_step() const {
  const size_t embedding_row = embedding.view().rows(0, 1).nbytes();
  size_t bytes = embedding_row + final_norm.view().nbytes() + bytes_of(lm_head);
  for (const LayerWeights& layer : layers) {
    for (const Matrix* matrix : {&layer.qkv, &layer.attention_out, &layer.gate_up, &layer.down}) {
      bytes += bytes_of(*matrix);
    }
    for (const Tensor* vector :
         {&layer.attention_norm, &layer.qkv_bias, &layer.q_norm, &layer.k_norm, &layer.ffn_norm}) {
      if (!vector->empty()) bytes += vector->view().nbytes();
    }
  }
  return bytes;
}

}  // namespace llm
