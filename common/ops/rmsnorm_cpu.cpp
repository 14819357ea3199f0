#include "common/ops/parallel.h"
#include "common/ops/rmsnorm.h"
#include "common/ops/rmsnorm_row.h"

namespace llm::cpu {

namespace {

void add_row(float* __restrict x, const float* __restrict delta, int64_t size) {
  for (int64_t i = 0; i < size; ++i) x[i] += delta[i];
}

void scale_row(const float* __restrict x, float factor, const float* __restrict weight, int64_t size,
               float* __restrict out) {
  for (int64_t i = 0; i < size; ++i) out[i] = x[i] * factor * weight[i];
}

}  // namespace

void add_rmsnorm(TensorView x, TensorView delta, TensorView weight, float eps, TensorView out) {
  const int64_t rows = x.dim(0), size = x.dim(1);
  const bool shapes_agree =
      (delta.empty() || delta.shape == x.shape) && weight.shape == Shape{size} && out.shape == x.shape;
  require(shapes_agree, "the shapes of a norm over rows of {} do not agree", size);
  float* const x_data = x.as<float>();
  const float* const delta_data = delta.empty() ? nullptr : delta.as<float>();
  const float* const weight_data = weight.as<float>();
  float* const out_data = out.as<float>();
  parallel_for(rows, x.numel(), [&](int64_t r) {
    float* const row = x_data + r * size;
    if (delta_data != nullptr) add_row(row, delta_data + r * size, size);
    scale_row(row, rms_factor(row, size, eps), weight_data, size, out_data + r * size);
  });
}

}  // namespace llm::cpu
