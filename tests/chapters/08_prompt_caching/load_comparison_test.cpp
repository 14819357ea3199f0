#include "chapters/08_prompt_caching/load_comparison.h"

#include "tests/chapters/08_prompt_caching/prefix_requests.h"

namespace llm {
namespace {

TEST(LoadComparisons, WhatACacheThatNeverForgetsWouldFind) {
  const std::vector<Ids> texts = {count_from(0, 55), join(count_from(0, 20), count_from(100, 20))};
  EXPECT_EQ(predict_cached_tokens(texts, join(count_from(0, 48), {7}), 16), 48);
  EXPECT_EQ(predict_cached_tokens(texts, count_from(0, 48), 16), 32) << "one is always computed";
  EXPECT_EQ(predict_cached_tokens(texts, join(count_from(0, 20), count_from(100, 30)), 16), 32) << "of the second";
  EXPECT_EQ(predict_cached_tokens(texts, join(count_from(0, 10), {99, 98, 97, 96, 95}), 4), 8);
  EXPECT_EQ(predict_cached_tokens(texts, {5}, 1), 0);
  EXPECT_EQ(predict_cached_tokens({}, count_from(0, 48), 16), 0);
}

TEST(LoadComparisons, Sums) {
  LoadComparison a, b;
  a.name = "a";
  a.num_requests = a.num_same = 3;
  a.usage = {60, 30, 10};
  a.cold_ttft_ms = {4.0, 8.0, 6.0};
  a.warm_ttft_ms = {3.0, 1.0, 2.0};
  b.num_requests = 2;
  b.num_too_short = 1;
  b.usage = {0, 80, 20};
  b.num_evicted = 7;
  EXPECT_DOUBLE_EQ(a.hit_rate(), 0.6);
  EXPECT_DOUBLE_EQ(a.ttft_ratio(), 3.0);
  EXPECT_DOUBLE_EQ(a.relative_cost({1.25, 0.1}), (6.0 + 37.5 + 10.0) / 100.0);
  EXPECT_DOUBLE_EQ(b.relative_cost({1.25, 0.1}), 1.2) << "what is never read again costs more than no cache";
  const LoadComparison sum = sum_of({a, b});
  EXPECT_EQ(sum.num_requests, 5);
  EXPECT_EQ(sum.num_same, 3);
  EXPECT_EQ(sum.num_too_short, 1);
  EXPECT_EQ(sum.num_evicted, 7);
  EXPECT_DOUBLE_EQ(sum.hit_rate(), 0.3);
  const Json json = describe_load(a, {1.25, 0.1});
  EXPECT_EQ(json.at("cached_tokens").integer(), 60);
  EXPECT_EQ(json.at("ttft_ms_warm").number(), 2.0);
}

}  // namespace
}  // namespace llm
