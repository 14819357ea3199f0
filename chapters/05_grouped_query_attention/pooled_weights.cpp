#include "chapters/05_grouped_query_attention/pooled_weights.h"

namespace llm {

bool PooledWeights::is_pooled(const std::string& name) {
  return name.find(".k_proj.") != std::string::npos || name.find(".v_proj.") != std::string::npos;
}

// region: get
Tensor PooledWeights::get(const std::string& name, Shape shape) {
  if (!is_pooled(name)) return source_.get(name, shape);
  const int64_t rows = shape[0] / to_heads_ * from_heads_;
  const Tensor heads = source_.get(name, shape.rank() == 1 ? Shape{rows} : Shape{rows, shape[1]});
  return pool_heads(heads, from_heads_, to_heads_, pooling_, name);
}
// endregion

Tensor PooledWeights::get_on(Device device, const std::string& name, Shape shape) {
  return is_pooled(name) ? to_device(get(name, shape), device) : source_.get_on(device, name, shape);
}

}  // namespace llm
