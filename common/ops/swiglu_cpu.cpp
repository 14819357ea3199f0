#include "common/ops/exp.h"
#include "common/ops/parallel.h"
#include "common/ops/swiglu.h"

namespace llm::cpu {

namespace {

void swiglu_row(const float* __restrict gate, const float* __restrict up, int64_t width, float* __restrict out) {
  for (int64_t i = 0; i < width; ++i) out[i] = gate[i] / (1.0f + exp_f32(-gate[i])) * up[i];
}

}  // namespace

void swiglu(TensorView gate_up, TensorView out) {
  const int64_t rows = out.dim(0), width = out.dim(1);
  const bool shapes_agree = gate_up.shape == Shape{rows, 2 * width};
  require(shapes_agree, "swiglu writes [{}, {}] from twice that width", rows, width);
  const float* const gate_up_data = gate_up.as<float>();
  float* const out_data = out.as<float>();
  parallel_for(rows, 4 * out.numel(), [&](int64_t r) {
    const float* const gate = gate_up_data + 2 * r * width;
    swiglu_row(gate, gate + width, width, out_data + r * width);
  });
}

void swiglu_matmul(TensorView x, const Matrix& weight, TensorView gate_up, TensorView out) {
  matmul(x, weight, {}, gate_up);
  swiglu(gate_up, out);
}

}  // namespace llm::cpu
