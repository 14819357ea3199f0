#include "chapters/03_paged_attention/block_table.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace llm {
namespace {

using Ids = std::vector<int32_t>;

// As begin_step does it.
std::optional<BlockCopy> append(BlockTable& table, int32_t count, BlockPool& pool) {
  const std::optional<BlockCopy> copy = table.allocate(count, pool);
  table.append(count);
  return copy;
}

TEST(BlockTable, TakesABlockWhenOneIsFull) {
  BlockPool pool(10);
  BlockTable table(4);
  EXPECT_EQ(table.num_blocks_to_add(9), 3);
  append(table, 3, pool);
  EXPECT_EQ(table.blocks(), Ids{0});
  EXPECT_EQ(table.num_blocks_to_add(1), 0);
  append(table, 1, pool);
  EXPECT_EQ(table.blocks(), Ids{0});
  EXPECT_EQ(table.num_blocks_to_add(1), 1);
  append(table, 6, pool);
  EXPECT_EQ(table.blocks(), (Ids{0, 1, 2}));
  EXPECT_EQ(table.length(), 10);
  EXPECT_EQ(pool.num_used(), 3);
}

TEST(BlockTable, SlotsAreWhereTheBlocksAre) {
  BlockPool pool(10);
  BlockTable table(4);
  pool.allocate();
  append(table, 1, pool);
  pool.allocate();
  append(table, 8, pool);
  EXPECT_EQ(table.blocks(), (Ids{1, 3, 4}));
  const Ids expected = {4, 5, 6, 7, 12, 13, 14, 15, 16};
  for (int32_t p = 0; p < 9; ++p) EXPECT_EQ(table.slot(p), expected[static_cast<size_t>(p)]);
  EXPECT_THROW(table.slot(12), std::logic_error) << "there is no fourth block";
}

TEST(BlockTable, WhatWasAllocatedAheadIsThereLater) {
  BlockPool pool(10);
  BlockTable table(4);
  table.allocate(9, pool);
  EXPECT_EQ(table.length(), 0);
  EXPECT_EQ(table.blocks().size(), 3u);
  EXPECT_EQ(table.num_blocks_to_add(12), 0);
  EXPECT_EQ(table.num_blocks_to_add(13), 1);
  append(table, 5, pool);
  EXPECT_EQ(pool.num_used(), 3);
  EXPECT_EQ(table.fork(pool).blocks(), (Ids{0, 1})) << "a fork has no part in what is not filled";
  table.truncate(5, pool);
  EXPECT_EQ(table.blocks(), (Ids{0, 1})) << "to where it is: only what was allocated ahead goes";
}

TEST(BlockTable, CutsBackFromTheEnd) {
  BlockPool pool(4);
  BlockTable table(2);
  append(table, 8, pool);
  table.truncate(3, pool);
  EXPECT_EQ(table.blocks(), (Ids{0, 1}));
  EXPECT_EQ(table.length(), 3);
  EXPECT_EQ(pool.allocate(), 3) << "the last block came back first";
  EXPECT_EQ(pool.allocate(), 2);
  table.truncate(0, pool);
  EXPECT_EQ(pool.allocate(), 1);
  EXPECT_EQ(pool.allocate(), 0);
  EXPECT_THROW(table.truncate(1, pool), std::logic_error);
  EXPECT_THROW(table.truncate(-1, pool), std::logic_error);
  EXPECT_THROW(table.append(1), std::logic_error) << "no block for it";
}

TEST(BlockTable, CopiesOnWriteOnlyWhatIsPartlyFilledAndShared) {
  BlockPool pool(10);
  BlockTable parent(4);
  append(parent, 6, pool);
  EXPECT_EQ(parent.block_to_copy(pool), std::nullopt) << "nobody shares it";
  BlockTable child = parent.fork(pool);
  EXPECT_EQ(child.blocks(), parent.blocks());
  EXPECT_EQ(child.length(), 6);
  EXPECT_EQ(pool.num_used(), 2) << "a fork takes none";

  EXPECT_EQ(child.block_to_copy(pool), 1);
  const std::optional<BlockCopy> copy = append(child, 1, pool);
  ASSERT_TRUE(copy.has_value());
  EXPECT_EQ(copy->from, 1);
  EXPECT_EQ(copy->to, 2);
  EXPECT_EQ(copy->num_slots, 2) << "what is filled";
  EXPECT_EQ(child.blocks(), (Ids{0, 2}));
  EXPECT_EQ(parent.blocks(), (Ids{0, 1})) << "untouched";

  EXPECT_FALSE(append(parent, 1, pool).has_value()) << "the last sharer writes in place";
  EXPECT_FALSE(append(child, 1, pool).has_value());
  BlockTable full = child.fork(pool);
  EXPECT_FALSE(append(full, 1, pool).has_value()) << "the shared block is full";
  EXPECT_EQ(full.blocks(), (Ids{0, 2, 3}));
}

// A child cut back into a block that its parent has filled must not write into it.
TEST(BlockTable, CopiesAfterACutIntoASharedBlock) {
  BlockPool pool(10);
  BlockTable parent(4);
  append(parent, 8, pool);
  BlockTable child = parent.fork(pool);
  child.truncate(5, pool);
  const std::optional<BlockCopy> copy = append(child, 1, pool);
  ASSERT_TRUE(copy.has_value());
  EXPECT_EQ(copy->from, 1);
  EXPECT_EQ(copy->num_slots, 1);
  child.truncate(4, pool);
  EXPECT_EQ(child.blocks(), Ids{0});
  EXPECT_FALSE(append(child, 1, pool).has_value()) << "cut to the edge of a block";
}

}  // namespace
}  // namespace llm
