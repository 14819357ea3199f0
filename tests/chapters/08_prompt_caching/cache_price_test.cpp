#include "chapters/08_prompt_caching/cache_price.h"

#include <gtest/gtest.h>

namespace llm {
namespace {

constexpr CachePrice kFiveMinutes = {1.25, 0.1}, kOneHour = {2.0, 0.1}, kFreeWrites = {1.0, 0.1};

// A prefix of 1,000 tokens: written once, then read.
double cost_of_uses(int uses, const CachePrice& price) {
  return cost_of({0, 1000, 0}, price) + (uses - 1) * cost_of({1000, 0, 0}, price);
}

TEST(CachePrice, FiveMinutesPayFromTheSecondUseOn) {
  EXPECT_EQ(break_even_use(kFiveMinutes), 2);
  EXPECT_DOUBLE_EQ(cost_of_uses(1, kFiveMinutes), 1250.0);
  EXPECT_DOUBLE_EQ(cost_of_uses(2, kFiveMinutes), 1350.0);
  EXPECT_LT(cost_of_uses(2, kFiveMinutes), 2000.0);
}

TEST(CachePrice, OneHourPaysFromTheThirdUseOn) {
  EXPECT_EQ(break_even_use(kOneHour), 3);
  EXPECT_DOUBLE_EQ(cost_of_uses(2, kOneHour), 2100.0) << "more than 2,000";
  EXPECT_DOUBLE_EQ(cost_of_uses(3, kOneHour), 2200.0) << "less than 3,000";
}

TEST(CachePrice, FreeWritesPayAtOnceOrNever) {
  EXPECT_EQ(break_even_use(kFreeWrites), 2) << "the first use costs the same";
  EXPECT_EQ(break_even_use({0.5, 0.1}), 1);
  EXPECT_THROW(break_even_use({1.25, 1.0}), std::logic_error);
}

TEST(CachePrice, OfARequest) {
  CacheUsage usage{448, 48, 4};
  EXPECT_EQ(usage.prompt_tokens(), 500);
  EXPECT_DOUBLE_EQ(cost_of(usage, kFiveMinutes), 44.8 + 60.0 + 4.0);
  usage += {52, 2, 6};
  EXPECT_EQ(usage.cached_tokens, 500);
  EXPECT_EQ(usage.written_tokens, 50);
  EXPECT_EQ(usage.fresh_tokens, 10);
}

}  // namespace
}  // namespace llm
