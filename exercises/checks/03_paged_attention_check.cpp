#include "exercises/03_paged_attention.h"

#include <random>

#include "chapters/03_paged_attention/paged_kv_cache.h"
#include "exercises/checks/check.h"
#include "tests/support/step.h"
#include "tests/support/tiny_model.h"

namespace llm {
namespace {

TEST(Chapter3, Exercise1) {
  PagedKvCache cache(tiny_config("llama"), {100, 16, 200, 8}, DType::f32);
  ASSERT_TRUE(cache.begin_step(Step({{0, 0, 100}})));
  for (int32_t sample = 1; sample < 8; ++sample) cache.fork(0, sample);
  for (int32_t position = 100; position < 159; ++position) {
    std::vector<Part> parts;
    for (int32_t sample = 0; sample < 8; ++sample) parts.emplace_back(sample, position, 1);
    ASSERT_TRUE(cache.begin_step(Step(parts)));
  }
  int32_t unshared = 0;
  for (int32_t sample = 0; sample < 8; ++sample) unshared += cache.num_blocks_for(cache.length(sample));
  expect_prediction("kBlocksTaken", exercises::kBlocksTaken, cache.pool().num_used(), "chapter 3's cache took");
  expect_prediction("kBlocksCopied", exercises::kBlocksCopied, static_cast<int32_t>(cache.blocks_copied()),
                    "chapter 3's cache copied");
  expect_prediction("kBlocksUnshared", exercises::kBlocksUnshared, unshared, "the eight block tables have in all");
}

TEST(Chapter3, Exercise2) {
  int32_t block_size = 1;
  for (int32_t used = 1, reserved = 1; 2 * used >= reserved; block_size *= 2) {
    used = reserved = 0;
    for (int32_t length = 1; length <= 141; ++length) {
      BlockPool pool(200);
      BlockTable table(block_size);
      table.allocate(length, pool);
      used += length;
      reserved += pool.num_used() * block_size;
    }
  }
  expect_prediction("kWastefulBlockSize", exercises::kWastefulBlockSize, block_size / 2,
                    "by chapter 3's block tables more than half is unused from this block size on");
}

TEST(Chapter3, Exercise3) {
  std::mt19937_64 random(1);
  for (const int32_t block_size : {1, 2, 16, 33}) {
    BlockPool pool(40);
    for (int i = 0; i < 100; ++i) {  // so that blocks do not stand in order
      const int32_t block = pool.allocate().value();
      for (uint64_t turns = random() % 7; turns > 0; --turns) pool.release(pool.allocate().value());
      pool.release(block);
    }
    BlockTable table(block_size);
    table.allocate(5 * block_size - block_size / 2, pool);
    for (int32_t position = 0; position < 5 * block_size - block_size / 2; ++position) {
      ASSERT_ANSWER(exercises::slot(table.blocks(), block_size, position), table.slot(position))
          << fmt::format("Position {} where the block table is [{}] and block_size {}.", position,
                         fmt::join(table.blocks(), ", "), block_size);
    }
  }
}

TEST(Chapter3, Exercise4) {
  for (const int32_t block_size : {1, 2, 4, 16}) {
    for (int32_t length = 1; length <= 2 * block_size + 1; ++length) {
      for (int32_t count = 1; count <= 2 * block_size + 1; ++count) {
        for (const bool shared : {false, true}) {
          PagedKvCache cache(tiny_config("llama"), {20, block_size, 100, 2}, DType::f32);
          ASSERT_TRUE(cache.begin_step(Step({{0, 0, length}})));
          if (shared) cache.fork(0, 1);
          const int32_t before = cache.pool().num_free();
          ASSERT_TRUE(cache.begin_step(Step({{0, length, count}})));
          const exercises::Growth growth = exercises::plan_growth(length, count, block_size, shared);
          const std::string situation =
              fmt::format("length {}, block_size {}, count {}; the last block {} another owner.", length, block_size,
                          count, shared ? "has" : "does not have");
          ASSERT_ANSWER(growth.copies_last, cache.blocks_copied() > 0) << situation;
          ASSERT_ANSWER(growth.num_blocks, before - cache.pool().num_free()) << situation;
        }
      }
    }
  }
}

TEST(Chapter3, Exercise5) {
  for (const int32_t num_blocks : {1, 2, 7, 31}) {
    std::mt19937_64 random(static_cast<uint64_t>(num_blocks));
    BlockPool expected(num_blocks);
    exercises::BlockPool pool(num_blocks);
    std::vector<int32_t> owned;  // a block as often as it has owners
    for (int operation = 0; operation < 1000; ++operation) {
      const bool shares = random() % 4 == 0, releases = random() % 2 == 0;
      if (owned.empty() || (!shares && !releases)) {
        const std::optional<int32_t> block = expected.allocate();
        ASSERT_ANSWER(pool.allocate(), block)
            << (block ? "allocate() is to give the block that was released longest ago."
                      : "All blocks have owners: allocate() has nothing to give.");
        if (block) owned.push_back(*block);
        continue;
      }
      const size_t i = random() % owned.size();
      const int32_t block = owned[i];
      if (shares) {
        expected.share(block);
        pool.share(block);
        owned.push_back(block);
      } else {
        expected.release(block);
        pool.release(block);
        owned.erase(owned.begin() + static_cast<ptrdiff_t>(i));
      }
      const char* const what = shares ? "shared" : "released";
      ASSERT_ANSWER(pool.ref_count(block), expected.ref_count(block))
          << "Owners of a block that was just " << what << ".";
      ASSERT_ANSWER(pool.num_free(), expected.num_free()) << "Free blocks, when one was just " << what << ".";
    }
  }
}

}  // namespace
}  // namespace llm
