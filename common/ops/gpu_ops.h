// The operators on a GPU: the table's entries in llm::cuda and, from the same sources, in llm::simt.
// Numbers that a product reads (normed, attended, hidden) are in the weights' dtype, as tensor cores want them; what it
// writes, and the residual stream, is f32.
#pragma once

#include "common/ops/ops.h"

namespace llm::cuda {
const Ops& ops();
}
namespace llm::simt {
const Ops& ops();
}

#if defined(LLM_GPU)
namespace llm::LLM_GPU {
Matrix make_matrix(std::span<const TensorView> parts, DType dtype);
void embed(Int32View tokens, TensorView table, TensorView out);
void gather_rows(TensorView x, Int32View rows, TensorView out);
void add_rmsnorm(TensorView x, TensorView delta, TensorView weight, float eps, TensorView out);
void matmul(TensorView x, const Matrix& weight, TensorView bias, TensorView out);
void rope_and_store(TensorView qkv, Int32View positions, const RopeParams& params, TensorView q, const KvView& kv);
void swiglu_matmul(TensorView x, const Matrix& weight, TensorView gate_up, TensorView out);
void swiglu(TensorView gate_up, TensorView out);  // the gate alone
void attend(const Batch& batch, TensorView q, const KvView& kv, Workspace& workspace, TensorView out);
void argmax(TensorView logits, Workspace& workspace, TensorView out);
void sample(TensorView logits, TensorView rows, Workspace& workspace, TensorView out);
void fill_random(TensorView out, uint64_t key, float range);
void sum_rows(TensorView x, TensorView out);
}  // namespace llm::LLM_GPU
#endif
