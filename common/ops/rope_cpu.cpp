#include "common/ops/parallel.h"
#include "common/ops/rmsnorm_row.h"
#include "common/ops/rope.h"

namespace llm::cpu {

namespace {

// One token's rotation: dimension i of a head and dimension i + half turn by the same angle.
struct Rotation {
  const float *cosines, *sines;  // [half]
  int64_t half;
  float norm_eps;

  // One head. `norm`, where there is one, is the weight [2 · half] of an RMSNorm before the rotation.
  template <class T>
  void apply(const float* head, const float* norm, T* out) const {
    if (norm == nullptr) {
      turn(head, out, [](float value, int64_t) { return value; });
    } else {
      const float factor = rms_factor(head, 2 * half, norm_eps);
      turn(head, out, [=](float value, int64_t i) { return value * factor * norm[i]; });
    }
  }

  template <class T, class Normalize>
  void turn(const float* __restrict head, T* __restrict out, Normalize normalize) const {
    for (int64_t i = 0; i < half; ++i) {
      const float first = normalize(head[i], i), second = normalize(head[i + half], i + half);
      out[i] = from_float<T>(first * cosines[i] - second * sines[i]);
      out[i + half] = from_float<T>(second * cosines[i] + first * sines[i]);
    }
  }
};

template <class T>
void rotate_and_store(TensorView qkv, Int32View positions, const RopeParams& params, TensorView q, const KvView& kv) {
  const int64_t num_tokens = q.dim(0), heads = q.dim(1), head_dim = q.dim(2), kv_heads = kv.k.dim(1);
  const int64_t kv_size = kv_heads * head_dim, qkv_size = heads * head_dim + 2 * kv_size;
  const float* const q_norm = params.q_norm.empty() ? nullptr : params.q_norm.as<float>();
  const float* const k_norm = params.k_norm.empty() ? nullptr : params.k_norm.as<float>();
  const float* const cos_sin = params.cos_sin.as<float>();
  const float* const qkv_data = qkv.as<float>();
  const int32_t *const position_data = positions.as<int32_t>(), *const slots = kv.slots.as<int32_t>();
  float* const q_data = q.as<float>();
  T *const k_data = kv.k.as<T>(), *const v_data = kv.v.as<T>();

  parallel_for(num_tokens, qkv.numel(), [&](int64_t t) {
    if (position_data[t] < 0) return;  // padding
    const float* const angles = cos_sin + position_data[t] * head_dim;
    const Rotation rotation{angles, angles + head_dim / 2, head_dim / 2, params.norm_eps};
    const float* const queries = qkv_data + t * qkv_size;
    const float* const keys = queries + heads * head_dim;
    const float* const values = keys + kv_size;
    const int64_t slot = slots[t] * kv_size;
    for (int64_t h = 0; h < heads; ++h) {
      rotation.apply(queries + h * head_dim, q_norm, q_data + (t * heads + h) * head_dim);
    }
    for (int64_t h = 0; h < kv_heads; ++h) {
      rotation.apply(keys + h * head_dim, k_norm, k_data + slot + h * head_dim);
    }
    for (int64_t i = 0; i < kv_size; ++i) v_data[slot + i] = from_float<T>(values[i]);
  });
}

}  // namespace

void rope_and_store(TensorView qkv, Int32View positions, const RopeParams& params, TensorView q, const KvView& kv) {
  const int64_t num_tokens = q.dim(0), head_dim = q.dim(2);
  const bool shapes_agree = qkv.shape == Shape{num_tokens, (q.dim(1) + 2 * kv.k.dim(1)) * head_dim} &&
                            positions.numel() == num_tokens && kv.slots.numel() <= num_tokens &&
                            kv.k.shape == kv.v.shape && kv.k.dim(2) == head_dim && params.cos_sin.dim(1) == head_dim;
  require(shapes_agree, "the shapes of {} tokens' queries, keys and values do not agree", num_tokens);
  for (int64_t t = 0; t < num_tokens; ++t) {
    const int32_t position = positions.as<int32_t>()[t];
    if (position < 0) continue;  // padding, which has no slot
    require(t < kv.slots.numel(), "{} slots for a token at position {}", kv.slots.numel(), position);
    const int32_t slot = kv.slots.as<int32_t>()[t];
    require(position < params.cos_sin.dim(0), "position {} of {}", position, params.cos_sin.dim(0));
    require(0 <= slot && slot < kv.k.dim(0), "slot {} of {}", slot, kv.k.dim(0));
  }
  if (kv.k.dtype == DType::bf16) {
    rotate_and_store<bf16>(qkv, positions, params, q, kv);
  } else {
    rotate_and_store<float>(qkv, positions, params, q, kv);
  }
}

}  // namespace llm::cpu
