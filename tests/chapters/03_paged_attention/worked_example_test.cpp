// What the page of chapter 3 works by hand.
#include "chapters/03_paged_attention/paged_kv_cache.h"
#include "tests/common/ops/ops_testing.h"
#include "tests/support/expect_close.h"
#include "tests/support/step.h"
#include "tests/support/tiny_model.h"
#include "tests/support/worked_attention.h"

namespace llm {
namespace {

using Ids = std::vector<int32_t>;

// Blocks of 4, a pool of 8, a prompt of 6 tokens, three samples.
TEST(WorkedExample, ThreeSamples) {
  PagedKvCache cache(tiny_config("llama"), {8, 4, 12, 3}, DType::f32);
  const auto expect_state = [&](const std::vector<Ids>& tables, int32_t owners_of_0, int32_t owners_of_1,
                                int32_t num_free) {
    for (size_t s = 0; s < tables.size(); ++s) EXPECT_EQ(cache.block_table(static_cast<int32_t>(s)), tables[s]);
    EXPECT_EQ(cache.pool().ref_count(0), owners_of_0);
    EXPECT_EQ(cache.pool().ref_count(1), owners_of_1);
    EXPECT_EQ(cache.pool().num_free(), num_free);
  };
  ASSERT_TRUE(cache.begin_step(Step({{0, 0, 6}})));
  expect_state({{0, 1}}, 1, 1, 6);
  cache.fork(0, 1);
  cache.fork(0, 2);
  expect_state({{0, 1}, {0, 1}, {0, 1}}, 3, 3, 6);
  ASSERT_TRUE(cache.begin_step(Step({{0, 6, 1}, {1, 6, 1}, {2, 6, 1}})));
  expect_state({{0, 2}, {0, 3}, {0, 1}}, 3, 1, 4);
  EXPECT_EQ(values(cache.layer(0).slots), (Ids{10, 14, 6}));
  EXPECT_EQ(cache.blocks_copied(), 2);
  ASSERT_TRUE(cache.begin_step(Step({{0, 7, 2}, {1, 7, 2}, {2, 7, 2}})));
  expect_state({{0, 2, 4}, {0, 3, 5}, {0, 1, 6}}, 3, 1, 1);
  cache.release(1);
  expect_state({{0, 2, 4}, {}, {0, 1, 6}}, 2, 1, 3);
  cache.truncate(0, 7);
  expect_state({{0, 2}, {}, {0, 1, 6}}, 2, 1, 4);
  EXPECT_EQ(cache.pool().allocate(), 7);
  EXPECT_EQ(cache.pool().allocate(), 5);
  EXPECT_EQ(cache.pool().allocate(), 3);
}

TEST(WorkedExample, PositionNineOfTheDrawing) {
  BlockPool pool(8);
  BlockTable table(4);
  for (const int32_t block : {3, 1, 6}) {  // the free list begins with these
    pool.share(block);
    pool.release(block);
  }
  for (int32_t i = 0; i < 5; ++i) pool.allocate();
  table.allocate(10, pool);
  table.append(10);
  EXPECT_EQ(table.blocks(), (Ids{3, 1, 6}));
  EXPECT_EQ(table.slot(9), 25);
}

// Chapter 2's fourth token, its keys in blocks 3 and 1 of 2 tokens: the same to the last bit.
TEST(WorkedExample, AttentionThroughATable) {
  PagedKvCache cache(one_head(), {4, 2, 4, 1}, DType::f32);
  for (int i = 0; i < 4; ++i) cache.pool().allocate();
  for (const int32_t block : {3, 1}) cache.pool().release(block);
  expect_close(step(cache, 0, 3)[2], kOut3, 1e-6);
  EXPECT_EQ(values(cache.layer(0).slots), (Ids{6, 7, 2}));
  const Row out4 = step(cache, 3, 4)[0];
  EXPECT_EQ(values(cache.layer(0).slots), Ids{3});
  EXPECT_EQ(values(cache.layer(0).block_table), (Ids{3, 1}));
  expect_close(out4, kOut4, 1e-6);

  PagedKvCache in_order(one_head(), {1, 4, 4, 1}, DType::f32);
  step(in_order, 0, 3);
  EXPECT_EQ(step(in_order, 3, 4)[0], out4);
}

}  // namespace
}  // namespace llm
