#include "chapters/01_naive_generation/forgetful_memory.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <vector>

#include "tests/support/tiny_model.h"

namespace llm {
namespace {

using Ids = std::vector<int32_t>;

Ids values(TensorView view) { return {view.as<int32_t>(), view.as<int32_t>() + view.numel()}; }

TEST(ForgetfulMemory, EverySequenceStartsAtABlockOfItsOwn) {
  const ModelConfig config = tiny_config("llama");
  ForgetfulMemory memory(config, 12, 3, DType::f32);
  Batch batch(12, 3);
  batch.add(7, Ids{1, 2, 3}, 0, LogitRows::last);
  batch.add(4, Ids{1}, 0, LogitRows::last);
  batch.add(9, Ids{1, 2, 3, 4}, 0, LogitRows::last);
  ASSERT_TRUE(memory.begin_step(batch));
  const KvView kv = memory.layer(0);
  EXPECT_EQ(kv.block_size, 4);
  EXPECT_EQ(kv.block_table.shape, (Shape{3, 1}));
  EXPECT_EQ(values(kv.block_table), (Ids{0, 1, 2}));
  EXPECT_EQ(values(kv.slots), (Ids{0, 1, 2, 4, 8, 9, 10, 11}));
  EXPECT_EQ(kv.k.shape, (Shape{12, config.num_kv_heads, config.head_dim}));
  EXPECT_EQ(kv.v.shape, kv.k.shape);
  EXPECT_NE(kv.k.data, kv.v.data);
}

// The next layer's keys may be written where this layer's stood: one layer's room serves all, at every dtype.
TEST(ForgetfulMemory, AllLayersShareOneLayersRoom) {
  const ModelConfig config = tiny_config("qwen3");
  for (const DType dtype : {DType::f32, DType::bf16}) {
    ForgetfulMemory memory(config, 5, 1, dtype);
    Batch batch(5, 1);
    batch.add(0, Ids{1, 2, 3, 4, 5}, 0, LogitRows::last);
    ASSERT_TRUE(memory.begin_step(batch));
    for (int layer = 0; layer < config.num_layers; ++layer) {
      const KvView kv = memory.layer(layer);
      EXPECT_EQ(kv.k.data, memory.layer(0).k.data);
      EXPECT_EQ(kv.k.dtype, dtype);
      EXPECT_EQ(kv.k.nbytes(), 5 * config.num_kv_heads * config.head_dim * size_of(dtype));
      std::memset(kv.k.data, 1, kv.k.nbytes());
      std::memset(kv.v.data, 2, kv.v.nbytes());
    }
    EXPECT_EQ(memory.nbytes(), 0u) << "nothing outlives a step";
  }
}

TEST(ForgetfulMemory, ARefusalChangesNothing) {
  ForgetfulMemory memory(tiny_config("llama"), 6, 2, DType::f32);
  Batch batch(20, 3);
  batch.add(1, Ids{1, 2, 3}, 0, LogitRows::last);
  batch.add(2, Ids{1, 2}, 0, LogitRows::last);
  ASSERT_TRUE(memory.begin_step(batch));
  const auto look = [&] {
    const KvView kv = memory.layer(0);
    return std::tuple(values(kv.slots), values(kv.block_table), kv.block_size);
  };
  const auto before = look();

  Batch too_long(20, 3);
  too_long.add(1, Ids{1, 2, 3, 4, 5, 6, 7}, 0, LogitRows::last);
  EXPECT_FALSE(memory.begin_step(too_long));
  EXPECT_EQ(look(), before);

  Batch too_many(20, 3);
  for (int32_t id = 0; id < 3; ++id) too_many.add(id, Ids{1}, 0, LogitRows::last);
  EXPECT_FALSE(memory.begin_step(too_many));
  EXPECT_EQ(look(), before);
}

TEST(ForgetfulMemory, EveryStepBringsTheSequenceWhole) {
  ForgetfulMemory memory(tiny_config("llama"), 8, 1, DType::f32);
  Batch batch(8, 1);
  for (int32_t length = 1; length <= 8; ++length) {
    batch.clear();
    batch.add(0, Ids(static_cast<size_t>(length), 5), 0, LogitRows::last);
    ASSERT_TRUE(memory.begin_step(batch));
    EXPECT_EQ(memory.layer(0).slots.numel(), length);
    EXPECT_EQ(memory.layer(0).block_size, length);
  }
  batch.clear();
  batch.add(0, Ids{5}, 3, LogitRows::last);  // the earlier ones are gone
  EXPECT_THROW(memory.begin_step(batch), std::logic_error);
}

TEST(ForgetfulMemory, ForgettingIsNoWork) {
  ForgetfulMemory memory(tiny_config("llama"), 8, 1, DType::f32);
  EXPECT_NO_THROW(memory.truncate(3, 0));
  EXPECT_NO_THROW(memory.release(3));
}

// Random ragged steps: every slot in range and given to one token, and where the view's rule says it stands.
TEST(ForgetfulMemory, RandomSteps) {
  constexpr int64_t kMaxTokens = 60, kMaxSeqs = 5;
  ForgetfulMemory memory(tiny_config("llama"), kMaxTokens, kMaxSeqs, DType::f32);
  std::mt19937_64 random(4);
  Batch batch(200, 8);
  int refused = 0;
  for (int step = 0; step < 2000; ++step) {
    batch.clear();
    const int64_t num_seqs = static_cast<int64_t>(random() % 6) + 1;
    int64_t longest = 0;
    for (int32_t s = 0; s < num_seqs; ++s) {
      const int64_t length = static_cast<int64_t>(random() % 20) + 1;
      longest = std::max(longest, length);
      batch.add(100 + s, Ids(static_cast<size_t>(length), 1), 0, LogitRows::none);
    }
    const bool fits = num_seqs <= kMaxSeqs && longest * num_seqs <= kMaxTokens;
    ASSERT_EQ(memory.begin_step(batch), fits);
    refused += !fits;
    if (!fits) continue;
    const KvView kv = memory.layer(0);
    const Ids slots = values(kv.slots), table = values(kv.block_table);
    ASSERT_EQ(static_cast<int64_t>(slots.size()), batch.num_tokens());
    EXPECT_EQ(std::set<int32_t>(slots.begin(), slots.end()).size(), slots.size());
    for (int64_t s = 0; s < num_seqs; ++s) {
      for (int32_t t = batch.query_start[s]; t < batch.query_start[s + 1]; ++t) {
        const int32_t slot = slots[static_cast<size_t>(t)];
        EXPECT_EQ(slot, table[static_cast<size_t>(s)] * kv.block_size + batch.positions[t]);
        EXPECT_LT(slot, kMaxTokens);
      }
    }
  }
  EXPECT_GT(refused, 100);
  EXPECT_LT(refused, 1900);
}

}  // namespace
}  // namespace llm
