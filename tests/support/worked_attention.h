// Attention as the pages of chapters 1 to 3 work it by hand: one head of head_dim 4, so that sqrt(head_dim) is 2.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "common/model/config.h"
#include "common/model/kv_memory.h"
#include "common/ops/attention.h"

namespace llm {

using Row = std::vector<float>;

inline const std::vector<Row> kQueries = {
    {0, 0, 0, 0}, {0, 0, 0, 0}, {1, 2, 0, 1}, {0, 1, 1, 0}};  // the pages ask for 3 and 4
inline const std::vector<Row> kKeys = {{0, 0, 5, 0}, {2, 0, 1, 0}, {0, 1, 0, 2}, {1, 0, 1, 3}};
inline const std::vector<Row> kValues = {{1, 0, 2, 0}, {0, 1, 2, 0}, {0, 0, 2, 1}, {4, 0, 2, 0}};
inline const Row kOut3 = {0.09003057f, 0.24472847f, 2.0f, 0.66524096f};
inline const Row kOut4 = {1.09625514f, 0.09625514f, 2.0f, 0.09625514f};

inline ModelConfig one_head() {
  ModelConfig config;
  config.num_layers = config.num_heads = config.num_kv_heads = 1;
  config.head_dim = 4;
  return config;
}

inline void copy_row(const Row& row, const TensorView& to, int64_t i) {
  std::ranges::copy(row, to.as<float>() + 4 * i);
}

// One step with the tokens at positions first .. last - 1: their keys and values are stored, their outputs returned.
inline std::vector<Row> step(KvMemory& memory, size_t first, size_t last) {
  Batch batch(4, 1);
  batch.add(0, std::vector<int32_t>(last - first), static_cast<int32_t>(first), LogitRows::none);
  EXPECT_TRUE(memory.begin_step(batch));
  const KvView kv = memory.layer(0);
  const Tensor q({batch.num_tokens(), 1, 4}, DType::f32), out({batch.num_tokens(), 1, 4}, DType::f32);
  for (size_t position = first; position < last; ++position) {
    const auto token = static_cast<int64_t>(position - first);
    const int32_t slot = kv.slots.as<int32_t>()[token];
    copy_row(kKeys[position], kv.k, slot);
    copy_row(kValues[position], kv.v, slot);
    copy_row(kQueries[position], q, token);
  }
  Workspace workspace;
  cpu::attend(batch, q, kv, workspace, out);
  std::vector<Row> rows;
  for (const float* row = out.view().as<float>(); rows.size() < last - first; row += 4) rows.emplace_back(row, row + 4);
  return rows;
}

}  // namespace llm
