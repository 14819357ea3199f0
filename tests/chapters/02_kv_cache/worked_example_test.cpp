// Attention as the pages of chapters 1 and 2 work it by hand: one head of head_dim 4, so that sqrt(head_dim) is 2.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "chapters/01_naive_generation/forgetful_memory.h"
#include "chapters/02_kv_cache/contiguous_kv_cache.h"
#include "common/ops/attention.h"
#include "tests/support/expect_close.h"

namespace llm {
namespace {

using Row = std::vector<float>;

const std::vector<Row> kQueries = {
    {0, 0, 0, 0}, {0, 0, 0, 0}, {1, 2, 0, 1}, {0, 1, 1, 0}};  // the pages ask for 3 and 4
const std::vector<Row> kKeys = {{0, 0, 5, 0}, {2, 0, 1, 0}, {0, 1, 0, 2}, {1, 0, 1, 3}};
const std::vector<Row> kValues = {{1, 0, 2, 0}, {0, 1, 2, 0}, {0, 0, 2, 1}, {4, 0, 2, 0}};
const Row kOut3 = {0.09003057f, 0.24472847f, 2.0f, 0.66524096f};
const Row kOut4 = {1.09625514f, 0.09625514f, 2.0f, 0.09625514f};

ModelConfig one_head() {
  ModelConfig config;
  config.num_layers = config.num_heads = config.num_kv_heads = 1;
  config.head_dim = 4;
  return config;
}

void copy_row(const Row& row, const TensorView& to, int64_t i) { std::ranges::copy(row, to.as<float>() + 4 * i); }

// One step with the tokens at positions first .. last - 1: their keys and values are stored, their outputs returned.
std::vector<Row> step(KvMemory& memory, size_t first, size_t last) {
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

TEST(WorkedExample, TheThirdTokenOfThree) {
  ForgetfulMemory memory(one_head(), 3, 1, DType::f32);
  expect_close(step(memory, 0, 3)[2], kOut3, 1e-6);
}

// With the cache only the fourth row is computed; without it all four, of which the third has not changed.
TEST(WorkedExample, AFourthToken) {
  ContiguousKvCache cache(one_head(), 4, 1, DType::f32);
  expect_close(step(cache, 0, 3)[2], kOut3, 1e-6);
  expect_close(step(cache, 3, 4)[0], kOut4, 1e-6);

  ForgetfulMemory memory(one_head(), 4, 1, DType::f32);
  const std::vector<Row> whole = step(memory, 0, 4);
  expect_close(whole[2], kOut3, 1e-6);
  expect_close(whole[3], kOut4, 1e-6);
}

}  // namespace
}  // namespace llm
