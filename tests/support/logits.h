// Logits of steps taken by hand, and chapter 1's, which all others must equal.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "chapters/01_naive_generation/forgetful_memory.h"
#include "common/model/transformer.h"
#include "common/tensor/device_memory.h"

namespace llm {

using Rows = std::vector<std::vector<float>>;  // [rows][vocab_size]

inline Rows forward(const Transformer& model, KvMemory& memory, const Batch& batch) {
  const int64_t vocab_size = model.config().vocab_size;
  const Tensor logits({batch.num_logits(), vocab_size}, DType::f32, model.device());
  Workspace workspace(model.device());
  EXPECT_TRUE(memory.begin_step(batch));
  model.forward(batch, memory, model.ops().attend, workspace, logits);
  const Tensor here = to_host(logits);
  Rows rows;
  for (int64_t i = 0; i < batch.num_logits(); ++i) {
    const float* row = here.view().as<float>() + i * vocab_size;
    rows.emplace_back(row, row + vocab_size);
  }
  return rows;
}

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// For each prefix of `ids` the logits after it, each from a pass over the whole prefix: chapter 1.
inline Rows naive_logits(const Transformer& model, const std::vector<int32_t>& ids) {
  const auto n = static_cast<int64_t>(ids.size());
  ForgetfulMemory memory(model.config(), n, 1, model.dtype());
  Rows rows;
  for (int64_t length = 1; length <= n; ++length) {
    Batch batch(n, 1);
    batch.add(0, std::span(ids).first(static_cast<size_t>(length)), 0, LogitRows::last);
    rows.push_back(forward(model, memory, batch).front());
  }
  return rows;
}

}  // namespace llm
