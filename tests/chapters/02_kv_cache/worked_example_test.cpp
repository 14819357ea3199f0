// Attention as the pages of chapters 1 and 2 work it by hand.
#include "chapters/01_naive_generation/forgetful_memory.h"
#include "chapters/02_kv_cache/contiguous_kv_cache.h"
#include "tests/support/expect_close.h"
#include "tests/support/worked_attention.h"

namespace llm {
namespace {

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
