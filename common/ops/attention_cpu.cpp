#include <algorithm>
#include <atomic>
#include <cmath>
#include <utility>

#include "common/ops/attention.h"
#include "common/ops/exp.h"
#include "common/ops/parallel.h"
#include "common/ops/vec.h"

namespace llm::cpu {

namespace {

constexpr int64_t round_up(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

// The block tables written out once for all heads: which slots each query sees, in order of position.
struct VisibleSlots {
  Int32View slots;  // one sequence's context after the other's
  Int32View first;  // [num_tokens] where the sequence of each token begins in `slots`

  VisibleSlots(const Batch& batch, const KvView& kv, Workspace& workspace) {
    int64_t total = 0;
    for (const int32_t length : batch.context_len.values()) total += length;
    slots = workspace.take({total}, DType::i32);
    first = workspace.take({batch.num_tokens()}, DType::i32);
    const int32_t* const table = kv.block_table.as<int32_t>();
    const int64_t max_blocks = kv.block_table.dim(1), num_slots = kv.k.dim(0);
    int32_t *const slot_data = slots.as<int32_t>(), *const first_data = first.as<int32_t>();
    int32_t begin = 0;
    for (int64_t s = 0; s < batch.num_seqs(); ++s) {
      const int32_t* block = table + s * max_blocks;
      const int32_t length = batch.context_len[s];  // none of padding
      require(length == 0 || s < kv.block_table.dim(0), "a block table of {} sequences for {}", kv.block_table.dim(0),
              batch.num_seqs());
      require(length <= max_blocks * kv.block_size, "{} keys in {} blocks of {}", length, max_blocks, kv.block_size);
      for (int32_t p = 0; p < length; p += kv.block_size, ++block) {
        const int32_t run = std::min(kv.block_size, length - p), slot = *block * kv.block_size;
        require(0 <= slot && slot + run <= num_slots, "keys in slots {} to {} of {}", slot, slot + run, num_slots);
        for (int32_t i = 0; i < run; ++i) slot_data[begin + p + i] = slot + i;
      }
      std::fill(first_data + batch.query_start[s], first_data + batch.query_start[s + 1], begin);
      begin += length;
    }
  }
};

// One query of one head over its keys. Every sum runs in the order of the keys or of the dimensions, so its bits depend
// on the number of keys alone.
template <class T>
struct HeadAttention {
  const T *k, *v;        // this head's key and value in slot 0
  int64_t slot_stride;   // from one slot to the next
  const int32_t* slots;  // [num_keys]
  int64_t num_keys, head_dim;

  // scores[j + i] = q · k_{j + i} / sqrt(head_dim) for i < kLanes; past the last key, its own again.
  void score(const float* q, int64_t j, float* scores) const {
    const T* keys[kLanes];
    for (int i = 0; i < kLanes; ++i) keys[i] = k + slots[std::min(j + i, num_keys - 1)] * slot_stride;
    Vec sums[kLanes] = {};
    int64_t d = 0;
    for (; d + kLanes <= head_dim; d += kLanes) {
      const Vec q_part = load(q + d);
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) sums[i] += q_part * load(keys[i] + d);
    }
    Vec dots = sum_each(sums);
    for (; d < head_dim; ++d) {
      for (int i = 0; i < kLanes; ++i) dots[i] += q[d] * to_float(keys[i][d]);
    }
    store(scores + j, dots * (1.0f / std::sqrt(static_cast<float>(head_dim))));
  }

  // scores becomes exp(score − largest score), whose sum is returned. It is whole vectors long.
  float exponentiate(float* scores) const {
    const int64_t padded = round_up(num_keys, kLanes);
    std::fill(scores + num_keys, scores + padded, -std::numeric_limits<float>::infinity());
    Vec largest = load(scores);
    for (int64_t j = kLanes; j < padded; j += kLanes) {
      const Vec part = load(scores + j);
      largest = largest < part ? part : largest;
    }
    const float shift = max(largest);
    for (int64_t j = 0; j < padded; ++j) scores[j] = exp_f32(scores[j] - shift);
    Vec sums = {};
    for (int64_t j = 0; j < padded; j += kLanes) sums += load(scores + j);
    return sum(sums);
  }

  // out[d..] = Σ_j weights[j] · v_j[d..] · factor for Vecs vectors of dimensions.
  template <int Vecs>
  void weigh(const float* weights, float factor, int64_t d, float* out) const {
    Vec sums[Vecs] = {};
    for (int64_t j = 0; j < num_keys; ++j) {
      const T* const value = v + slots[j] * slot_stride + d;
#pragma GCC unroll 8
      for (int i = 0; i < Vecs; ++i) sums[i] += weights[j] * load(value + i * kLanes);
    }
    for (int i = 0; i < Vecs; ++i) store(out + d + i * kLanes, sums[i] * factor);
  }

  // region: one_query
  void run(const float* q, float* scores, float* out) const {
    if (num_keys == 0) {  // padding
      std::fill(out, out + head_dim, 0.0f);
      return;
    }
    for (int64_t j = 0; j < num_keys; j += kLanes) score(q, j, scores);

    const float factor = 1.0f / exponentiate(scores);

    constexpr int kMaxVecs = 8;
    int64_t d = 0;
    while (d + kLanes <= head_dim) {
      const int vecs = static_cast<int>(std::min<int64_t>(kMaxVecs, (head_dim - d) / kLanes));
      [&]<int... V>(std::integer_sequence<int, V...>) {
        ((vecs == V + 1 ? weigh<V + 1>(scores, factor, d, out) : void()), ...);
      }
      (std::make_integer_sequence<int, kMaxVecs>());
      d += vecs * kLanes;
    }
    for (; d < head_dim; ++d) {
      float total = 0.0f;
      for (int64_t i = 0; i < num_keys; ++i) total += scores[i] * to_float(v[slots[i] * slot_stride + d]);
      out[d] = total * factor;
    }
  }
  // endregion
};

template <class T>
void attend_all(const Batch& batch, TensorView q, const KvView& kv, Workspace& workspace, TensorView out) {
  const int64_t num_tokens = q.dim(0), heads = q.dim(1), head_dim = q.dim(2), kv_heads = kv.k.dim(1);
  const VisibleSlots visible(batch, kv, workspace);
  int64_t longest = 0, work = 0;
  for (const int32_t position : batch.positions.values()) {
    longest = std::max<int64_t>(longest, position + 1);
    work += (position + 1) * heads * head_dim;
  }
  const int64_t scores_size = round_up(longest, 16);
  float* const all_scores = workspace.take({omp_get_max_threads(), scores_size}, DType::f32).as<float>();
  const int32_t *const slots = visible.slots.as<int32_t>(), *const first = visible.first.as<int32_t>();
  const int32_t* const positions = batch.positions.view().as<int32_t>();
  const float* const q_data = q.as<float>();
  const T *const k = kv.k.as<T>(), *const v = kv.v.as<T>();
  float* const out_data = out.as<float>();

  // Head by head, so that neighboring queries find the head's keys and values in the cache. Later queries see more
  // keys, and sequences differ in length: each thread takes some queries when it is done with its last ones.
  const int64_t num_tasks = heads * num_tokens, num_taken = std::clamp<int64_t>(num_tasks / 64, 1, 8);
  std::atomic<int64_t> next_task = 0;
  on_all_threads(work, [&](int thread, int) {
    float* const scores = all_scores + thread * scores_size;
    for (int64_t begin = next_task.fetch_add(num_taken); begin < num_tasks; begin = next_task.fetch_add(num_taken)) {
      for (int64_t task = begin; task < std::min(begin + num_taken, num_tasks); ++task) {
        const int64_t head = task / num_tokens, token = task % num_tokens;
        const int64_t kv_head = head / (heads / kv_heads), row = (token * heads + head) * head_dim;
        const HeadAttention<T> attention{k + kv_head * head_dim, v + kv_head * head_dim, kv_heads * head_dim,
                                         slots + first[token],   positions[token] + 1,   head_dim};
        attention.run(q_data + row, scores, out_data + row);
      }
    }
  });
}

}  // namespace

void attend(const Batch& batch, TensorView q, const KvView& kv, Workspace& workspace, TensorView out) {
  if (batch.num_tokens() == 0) return;
  const bool shapes_agree = q.shape == out.shape && q.dim(0) == batch.num_tokens() && kv.k.shape == kv.v.shape &&
                            kv.k.dim(2) == q.dim(2) && q.dim(1) % kv.k.dim(1) == 0;
  require(shapes_agree, "attention of {} queries, {} heads over {} KV heads: the shapes do not agree", q.dim(0),
          q.dim(1), kv.k.dim(1));
  if (kv.k.dtype == DType::bf16) {
    attend_all<bf16>(batch, q, kv, workspace, out);
  } else {
    attend_all<float>(batch, q, kv, workspace, out);
  }
}

}  // namespace llm::cpu
