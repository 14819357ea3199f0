#include "chapters/03_paged_attention/paged_kv_cache.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/support/step.h"
#include "tests/support/tiny_model.h"

namespace llm {
namespace {

using Ids = std::vector<int32_t>;

PagedKvCache make_cache(int32_t num_blocks, int32_t block_size, int32_t max_length = 300, int32_t max_seqs = 8) {
  return {tiny_config("llama"), {num_blocks, block_size, max_length, max_seqs}, DType::f32};
}

int32_t ceil_div(int32_t a, int32_t b) { return (a + b - 1) / b; }

TEST(PagedKvCache, SlotsAndTableOfSeveralSequences) {
  PagedKvCache cache = make_cache(6, 4, 12, 3);
  ASSERT_TRUE(cache.begin_step(Step({{7, 0, 2}, {8, 0, 5}})));
  EXPECT_EQ(values(cache.layer(0).slots), (Ids{0, 1, 4, 5, 6, 7, 8}));
  EXPECT_EQ(cache.layer(0).block_table.shape, (Shape{2, 3})) << "as wide as the longest sequence may need";
  EXPECT_EQ(values(cache.layer(0).block_table), (Ids{0, -1, -1, 1, 2, -1}));
  EXPECT_EQ(cache.layer(0).block_size, 4);
  ASSERT_TRUE(cache.begin_step(Step({{9, 0, 1}, {8, 5, 4}, {7, 2, 3}})));
  EXPECT_EQ(values(cache.layer(0).slots), (Ids{12, 9, 10, 11, 16, 2, 3, 20}));
  EXPECT_EQ(values(cache.layer(0).block_table), (Ids{3, -1, -1, 1, 2, 4, 0, 5, -1}));
  EXPECT_EQ(cache.length(8), 9);
  EXPECT_EQ(cache.length(1), 0) << "never seen";
  EXPECT_TRUE(cache.block_table(1).empty());
}

// A recorded CUDA graph reads table and slots where they were, with the width that they had.
TEST(PagedKvCache, BuffersStayWhereTheyAre) {
  PagedKvCache cache = make_cache(20, 2, 30, 4);
  ASSERT_TRUE(cache.begin_step(Step({{1, 0, 1}, {2, 0, 1}})));
  const KvView first = cache.layer(0);
  ASSERT_TRUE(cache.begin_step(Step({{1, 1, 20}, {2, 1, 5}})));
  const KvView second = cache.layer(0);
  EXPECT_EQ(second.block_table.data, first.block_table.data);
  EXPECT_EQ(second.block_table.shape, first.block_table.shape);
  EXPECT_EQ(second.slots.data, first.slots.data);
  EXPECT_EQ(second.k.data, first.k.data);
}

// Issue, chapter 3: block 8, n prompt tokens, a appended ones.
TEST(PagedKvCache, TwoSharersOfAPrompt) {
  constexpr int32_t kBlock = 8;
  for (const int32_t n : {1, 16, 129}) {
    for (const int32_t a : {1, 16, 129}) {
      const testing::ScopedTrace trace(__FILE__, __LINE__, fmt::format("n {}, a {}", n, a));
      PagedKvCache cache = make_cache(100, kBlock);
      const BlockPool& pool = cache.pool();
      ASSERT_TRUE(cache.begin_step(Step({{0, 0, n}})));
      const int32_t before_fork = pool.num_free();
      cache.fork(0, 1);
      EXPECT_EQ(pool.num_free(), before_fork) << "a fork allocates none";
      EXPECT_EQ(cache.length(1), n);

      const Ids others = cache.block_table(0);
      ASSERT_TRUE(cache.begin_step(Step({{1, n, a}})));
      EXPECT_EQ(before_fork - pool.num_free(), ceil_div(n + a, kBlock) - n / kBlock) << "the first of two";
      EXPECT_EQ(cache.blocks_copied(), n % kBlock != 0);
      EXPECT_EQ(cache.block_table(0), others) << "untouched";

      const int32_t before_last = pool.num_free();
      const Ids first_sharer = cache.block_table(1);
      ASSERT_TRUE(cache.begin_step(Step({{0, n, a}})));
      EXPECT_EQ(before_last - pool.num_free(), ceil_div(n + a, kBlock) - ceil_div(n, kBlock)) << "the last one";
      EXPECT_EQ(cache.blocks_copied(), n % kBlock != 0) << "which copies nothing";
      EXPECT_EQ(cache.block_table(1), first_sharer) << "untouched";
      Ids last_sharer = cache.block_table(0);
      last_sharer.resize(others.size());
      EXPECT_EQ(last_sharer, others) << "it keeps what it had";

      cache.release(1);
      cache.release(0);
      EXPECT_EQ(pool.num_free(), pool.num_blocks());
    }
  }
}

// Both in one step: the first copies, the second is then the last and writes in place. One free block is enough.
TEST(PagedKvCache, SharersInOneStep) {
  PagedKvCache cache = make_cache(3, 4);
  ASSERT_TRUE(cache.begin_step(Step({{0, 0, 6}})));
  cache.fork(0, 1);
  ASSERT_TRUE(cache.begin_step(Step({{0, 6, 1}, {1, 6, 2}})));
  EXPECT_EQ(cache.blocks_copied(), 1);
  EXPECT_EQ(cache.block_table(0), (Ids{0, 2}));
  EXPECT_EQ(cache.block_table(1), (Ids{0, 1}));
  EXPECT_EQ(values(cache.layer(0).slots), (Ids{10, 6, 7}));

  PagedKvCache three = make_cache(3, 4);
  ASSERT_TRUE(three.begin_step(Step({{0, 0, 6}})));
  three.fork(0, 1);
  three.fork(0, 2);
  EXPECT_FALSE(three.begin_step(Step({{0, 6, 1}, {1, 6, 1}, {2, 6, 1}}))) << "two copies, one free block";
  EXPECT_TRUE(three.begin_step(Step({{2, 6, 1}}))) << "one copy";
}

TEST(PagedKvCache, ARefusalChangesNothing) {
  PagedKvCache cache = make_cache(5, 4, 16, 3);
  ASSERT_TRUE(cache.begin_step(Step({{0, 0, 6}})));
  cache.fork(0, 1);
  ASSERT_TRUE(cache.begin_step(Step({{2, 0, 4}})));
  const auto look = [&] {
    const KvView kv = cache.layer(1);
    std::vector<int32_t> ref_counts;
    for (int32_t b = 0; b < 5; ++b) ref_counts.push_back(cache.pool().ref_count(b));
    return std::tuple(values(kv.slots), values(kv.block_table), cache.pool().num_free(), cache.blocks_copied(),
                      ref_counts, cache.length(0), cache.length(1), cache.length(2), cache.length(3));
  };
  const auto before = look();
  EXPECT_FALSE(cache.begin_step(Step({{2, 4, 1}, {0, 6, 1}, {1, 6, 1}, {3, 0, 1}}))) << "more sequences than max_seqs";
  EXPECT_EQ(look(), before);
  EXPECT_FALSE(cache.begin_step(Step({{2, 4, 13}}))) << "longer than max_length";
  EXPECT_EQ(look(), before);
  EXPECT_FALSE(cache.begin_step(Step({{2, 4, 1}, {0, 6, 1}, {3, 0, 1}}))) << "three blocks of two";
  EXPECT_EQ(look(), before);
  EXPECT_FALSE(cache.allocate(3, 9));
  EXPECT_EQ(look(), before);
  EXPECT_TRUE(cache.begin_step(Step({{2, 4, 1}, {0, 6, 1}, {1, 6, 1}}))) << "all that there is room for";
}

TEST(PagedKvCache, CanAllocateSaysWhatAllocateDoes) {
  PagedKvCache cache = make_cache(4, 4, 14, 3);
  EXPECT_TRUE(cache.can_allocate(1, 14));
  EXPECT_FALSE(cache.can_allocate(1, 15)) << "longer than max_length";
  ASSERT_TRUE(cache.allocate(1, 5));
  EXPECT_EQ(cache.pool().num_free(), 2);
  EXPECT_EQ(cache.length(1), 0) << "room, no tokens";
  EXPECT_TRUE(cache.can_allocate(2, 8));
  EXPECT_FALSE(cache.can_allocate(2, 9));
  ASSERT_TRUE(cache.allocate(2, 8));
  EXPECT_EQ(cache.pool().num_free(), 0);
  ASSERT_TRUE(cache.begin_step(Step({{1, 0, 8}, {2, 0, 7}}))) << "the step finds what was taken";
  cache.fork(1, 3);
  EXPECT_TRUE(cache.can_allocate(2, 1));
  EXPECT_FALSE(cache.can_allocate(1, 1)) << "its blocks are full";
  cache.fork(2, 4);
  EXPECT_FALSE(cache.can_allocate(2, 1)) << "there is room in its block, but not for the copy";
  cache.release(4);
  EXPECT_TRUE(cache.can_allocate(2, 1));
  cache.release(1);
  EXPECT_EQ(cache.pool().num_free(), 0) << "3 holds them still";
  EXPECT_THROW(cache.allocate(2, 0), std::logic_error);
}

// Chapter 8's way in: a sequence begins with blocks that another has filled.
TEST(PagedKvCache, AdoptsFullBlocks) {
  PagedKvCache cache = make_cache(6, 4, 16);
  const BlockPool& pool = cache.pool();
  ASSERT_TRUE(cache.begin_step(Step({{0, 0, 10}})));
  EXPECT_TRUE(cache.can_adopt({0, 1}, 8)) << "16 tokens";
  EXPECT_FALSE(cache.can_adopt({0, 1}, 9)) << "longer than max_length";
  EXPECT_EQ(pool.num_free(), 3) << "to ask changes nothing";

  cache.adopt(7, {0, 1});
  EXPECT_EQ(cache.length(7), 8);
  EXPECT_EQ(cache.block_table(7), (Ids{0, 1}));
  EXPECT_EQ(pool.ref_count(0), 2);
  EXPECT_EQ(pool.num_free(), 3) << "none of them was free";
  ASSERT_TRUE(cache.begin_step(Step({{7, 8, 3}}))) << "goes on behind them";
  EXPECT_EQ(values(cache.layer(0).slots), (Ids{12, 13, 14})) << "in a block of its own";
  EXPECT_EQ(cache.blocks_copied(), 0) << "full blocks are never written again";
  EXPECT_EQ(cache.block_table(7), (Ids{0, 1, 3}));

  cache.release(0);
  EXPECT_EQ(cache.block_table(7), (Ids{0, 1, 3})) << "the new owner has them still";
  cache.release(7);
  EXPECT_EQ(pool.num_free(), 6);
  EXPECT_THROW(cache.adopt(5, Ids{0, 1, 2, 3, 4}), std::logic_error) << "20 tokens";
  ASSERT_TRUE(cache.allocate(5, 1));
  EXPECT_THROW(cache.adopt(5, {1}), std::logic_error) << "has blocks of its own";
}

// Blocks that nobody owns are there for the taking, but then they are no longer free for what comes behind them.
TEST(PagedKvCache, AdoptsBlocksThatAreFree) {
  PagedKvCache cache = make_cache(4, 4, 16);
  const BlockPool& pool = cache.pool();
  ASSERT_TRUE(cache.begin_step(Step({{0, 0, 8}})));
  cache.release(0);
  EXPECT_EQ(pool.num_free(), 4);
  EXPECT_TRUE(cache.can_adopt({0, 1}, 8));
  ASSERT_TRUE(cache.allocate(1, 1));
  EXPECT_TRUE(cache.can_adopt({0, 1}, 4)) << "three are free: two adopted, one new";
  EXPECT_FALSE(cache.can_adopt({0, 1}, 5)) << "a second new one is not there";
  cache.adopt(2, {0, 1});
  EXPECT_EQ(pool.num_free(), 1);
  ASSERT_TRUE(cache.allocate(2, 4));
  EXPECT_EQ(pool.num_free(), 0);
  EXPECT_TRUE(cache.can_adopt({0, 1}, 0));
  EXPECT_FALSE(cache.can_adopt({0, 1}, 1));
  cache.release(2);
  cache.adopt(3, {});
  EXPECT_EQ(cache.length(3), 0) << "nothing adopted: a sequence like any other";
  ASSERT_TRUE(cache.begin_step(Step({{3, 0, 5}})));
}

TEST(PagedKvCache, FreesInReverseOrder) {
  PagedKvCache cache = make_cache(4, 2);
  ASSERT_TRUE(cache.begin_step(Step({{1, 0, 8}})));
  cache.release(1);
  cache.release(99);  // unknown: nothing to forget
  ASSERT_TRUE(cache.begin_step(Step({{2, 0, 8}})));
  EXPECT_EQ(cache.block_table(2), (Ids{3, 2, 1, 0}));
  cache.truncate(2, 3);
  EXPECT_EQ(cache.block_table(2), (Ids{3, 2}));
  ASSERT_TRUE(cache.begin_step(Step({{2, 3, 1}, {3, 0, 3}})));
  EXPECT_EQ(cache.block_table(3), (Ids{0, 1}));
}

TEST(PagedKvCache, BytesReservedAndUsed) {
  const ModelConfig config = tiny_config("llama");
  const auto per_token = static_cast<size_t>(config.kv_bytes_per_token(4));
  PagedKvCache cache = make_cache(10, 4);
  EXPECT_EQ(cache.nbytes(), 40 * per_token);
  EXPECT_EQ(cache.block_nbytes(), 4 * per_token);
  EXPECT_EQ(cache.bytes_used(), 0u);
  ASSERT_TRUE(cache.begin_step(Step({{0, 0, 6}})));
  EXPECT_EQ(cache.bytes_reserved(), 8 * per_token);
  EXPECT_EQ(cache.bytes_used(), 6 * per_token);
  cache.fork(0, 1);
  EXPECT_EQ(cache.bytes_used(), 6 * per_token) << "shared, so counted once";
  cache.truncate(0, 2);
  EXPECT_EQ(cache.bytes_used(), 6 * per_token) << "the fork holds it still";
  ASSERT_TRUE(cache.begin_step(Step({{0, 2, 1}})));
  EXPECT_EQ(cache.bytes_reserved(), 12 * per_token);
  EXPECT_EQ(cache.bytes_used(), 9 * per_token);
  ASSERT_TRUE(cache.allocate(2, 5));
  EXPECT_EQ(cache.bytes_reserved(), 20 * per_token);
  EXPECT_EQ(cache.bytes_used(), 9 * per_token);
}

TEST(PagedKvCache, EveryLayerHasItsOwnKeysAndValues) {
  const ModelConfig config = tiny_config("qwen3");
  PagedKvCache cache(config, {3, 4, 12, 1}, DType::bf16);
  ASSERT_TRUE(cache.begin_step(Step({{0, 0, 1}})));
  std::set<void*> places;
  for (int layer = 0; layer < config.num_layers; ++layer) {
    const KvView kv = cache.layer(layer);
    EXPECT_EQ(kv.k.shape, (Shape{12, config.num_kv_heads, config.head_dim}));
    EXPECT_EQ(kv.v.shape, kv.k.shape);
    EXPECT_EQ(kv.k.dtype, DType::bf16);
    places.insert({kv.k.data, kv.v.data});
  }
  EXPECT_EQ(places.size(), static_cast<size_t>(2 * config.num_layers));
}

TEST(PagedKvCache, RefusesMisuse) {
  for (const int32_t block_size : {-1, 0, 3, 48, 512}) EXPECT_THROW(make_cache(2, block_size), std::logic_error);
  EXPECT_THROW(make_cache(0, 16), std::logic_error);
  PagedKvCache cache = make_cache(8, 4);
  ASSERT_TRUE(cache.begin_step(Step({{1, 0, 3}, {2, 0, 1}})));
  EXPECT_THROW(cache.begin_step(Step({{1, 4, 1}})), std::logic_error) << "position 3 was left out";
  EXPECT_THROW(cache.begin_step(Step({{1, 2, 1}})), std::logic_error) << "position 2 came before";
  EXPECT_THROW(cache.fork(1, 2), std::logic_error) << "2 is in use";
  EXPECT_THROW(cache.fork(3, 4), std::logic_error) << "3 is unknown";
  EXPECT_THROW(cache.truncate(1, 4), std::logic_error);
  EXPECT_THROW(cache.truncate(3, 0), std::logic_error);
  EXPECT_EQ(cache.pool().num_used(), 2) << "and nothing has changed";
}

}  // namespace
}  // namespace llm
