#include "chapters/03_paged_attention/block_pool.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <random>
#include <stdexcept>

namespace llm {
namespace {

TEST(BlockPool, GivesEachBlockOnceThenNone) {
  BlockPool pool(3);
  EXPECT_EQ(pool.num_blocks(), 3);
  for (int32_t block = 0; block < 3; ++block) {
    EXPECT_EQ(pool.num_free(), 3 - block);
    EXPECT_EQ(pool.allocate(), block);
    EXPECT_EQ(pool.ref_count(block), 1);
    EXPECT_FALSE(pool.is_shared(block));
  }
  EXPECT_EQ(pool.allocate(), std::nullopt);
  EXPECT_EQ(pool.num_free(), 0);
  EXPECT_EQ(pool.num_used(), 3);
}

TEST(BlockPool, TheBlockReleasedLongestAgoComesFirst) {
  BlockPool pool(4);
  for (int i = 0; i < 4; ++i) pool.allocate();
  for (const int32_t block : {2, 0, 3, 1}) pool.release(block);
  for (const int32_t block : {2, 0, 3, 1}) EXPECT_EQ(pool.allocate(), block);
}

TEST(BlockPool, ASharedBlockIsFreeAfterItsLastOwner) {
  BlockPool pool(2);
  const int32_t block = *pool.allocate();
  pool.share(block);
  pool.share(block);
  EXPECT_EQ(pool.ref_count(block), 3);
  pool.release(block);
  EXPECT_TRUE(pool.is_shared(block));
  pool.release(block);
  EXPECT_FALSE(pool.is_shared(block));
  EXPECT_EQ(pool.num_free(), 1);
  pool.release(block);
  EXPECT_EQ(pool.num_free(), 2);
}

// What a free block holds is still there: whoever knows may take it out of the middle of the list.
TEST(BlockPool, AFreeBlockCanBeSharedAgain) {
  BlockPool pool(3);
  pool.share(1);
  EXPECT_EQ(pool.ref_count(1), 1);
  EXPECT_EQ(pool.num_free(), 2);
  EXPECT_EQ(pool.allocate(), 0);
  EXPECT_EQ(pool.allocate(), 2);
  EXPECT_EQ(pool.allocate(), std::nullopt);
}

// Whoever knows blocks by their content hears of those that are given out for another, and of no others.
TEST(BlockPool, TellsWhichContentIsLost) {
  BlockPool pool(3);
  std::vector<int32_t> lost;
  pool.on_allocate([&](int32_t block) {
    EXPECT_EQ(pool.ref_count(block), 0) << "before it has an owner";
    lost.push_back(block);
  });
  pool.allocate();
  pool.allocate();
  pool.release(0);
  pool.share(0);  // its content is used again
  pool.release(1);
  pool.allocate();
  pool.allocate();
  EXPECT_EQ(pool.allocate(), std::nullopt);
  EXPECT_EQ(lost, (std::vector<int32_t>{0, 1, 2, 1}));
}

TEST(BlockPool, RefusesWhatNobodyOwns) {
  BlockPool pool(2);
  EXPECT_THROW(pool.release(0), std::logic_error);
  EXPECT_THROW(pool.release(2), std::logic_error);
  EXPECT_THROW(pool.share(-1), std::logic_error);
  EXPECT_EQ(pool.num_free(), 2) << "and nothing has changed";
}

// Against a queue and a map.
TEST(BlockPool, RandomOperations) {
  constexpr int32_t kBlocks = 17;
  BlockPool pool(kBlocks);
  std::mt19937 random(1);
  std::deque<int32_t> free_blocks;
  std::map<int32_t, int32_t> owners;
  for (int32_t block = 0; block < kBlocks; ++block) free_blocks.push_back(block);
  for (int i = 0; i < 20000; ++i) {
    const auto block = static_cast<int32_t>(random() % kBlocks);
    switch (random() % 3) {
      case 0:
        if (free_blocks.empty()) {
          ASSERT_EQ(pool.allocate(), std::nullopt);
        } else {
          ASSERT_EQ(pool.allocate(), free_blocks.front());
          owners[free_blocks.front()] = 1;
          free_blocks.pop_front();
        }
        break;
      case 1:
        if (random() % 4 != 0) break;  // else few would ever be free
        pool.share(block);
        ++owners[block];
        std::erase(free_blocks, block);
        break;
      default:
        if (owners[block] == 0) break;
        pool.release(block);
        if (--owners[block] == 0) free_blocks.push_back(block);
    }
    ASSERT_EQ(pool.num_free(), static_cast<int32_t>(free_blocks.size()));
    ASSERT_EQ(pool.num_free() + pool.num_used(), kBlocks);
    for (int32_t b = 0; b < kBlocks; ++b) ASSERT_EQ(pool.ref_count(b), owners[b]);
  }
}

}  // namespace
}  // namespace llm
