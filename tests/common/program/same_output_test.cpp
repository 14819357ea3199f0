#include "common/program/same_output.h"

#include <gtest/gtest.h>

namespace llm {
namespace {

constexpr float kTolerance = near_tie(DType::f32);

TEST(CompareOutputs, TheSame) {
  const Comparison result = compare_outputs({5, 6, 7}, {1, 2, 3}, {5, 6, 7}, kTolerance);
  EXPECT_TRUE(result.same);
  EXPECT_EQ(result.near_ties, 0);
  EXPECT_FALSE(result.first_difference);
  EXPECT_EQ(describe(result), "yes");
  EXPECT_TRUE(compare_outputs({}, {}, {}, kTolerance).same);
}

TEST(CompareOutputs, Different) {
  const Comparison result = compare_outputs({5, 6, 7, 8}, {1, 2, 3, 4}, {5, 6, 9, 10}, kTolerance);
  EXPECT_FALSE(result.same);
  ASSERT_TRUE(result.first_difference);
  EXPECT_EQ(result.first_difference->index, 2);
  EXPECT_EQ(result.first_difference->expected, 7);
  EXPECT_EQ(result.first_difference->actual, 9);
  EXPECT_FALSE(result.first_difference->at_near_tie);
  EXPECT_EQ(describe(result), "no: token 2 is 9, expected 7");
}

// After a near-tie the texts go their own ways, and what comes then is no fault.
TEST(CompareOutputs, DifferentFromANearTieOn) {
  const Comparison result = compare_outputs({5, 6, 7, 8}, {1, 2, 5e-5f, 4}, {5, 6, 9, 10}, kTolerance);
  EXPECT_TRUE(result.same);
  EXPECT_EQ(result.near_ties, 1);
  ASSERT_TRUE(result.first_difference);
  EXPECT_EQ(result.first_difference->index, 2);
  EXPECT_TRUE(result.first_difference->at_near_tie);
  EXPECT_EQ(describe(result), "yes, up to a near-tie: token 2 is 9, expected 7 (near-ties in the reference: 1)");
}

TEST(CompareOutputs, ANearTieElsewhereExcusesNothing) {
  for (const std::vector<float>& gaps : {std::vector<float>{0, 2, 3}, std::vector<float>{1, 2, 0}}) {
    const Comparison result = compare_outputs({5, 6, 7}, gaps, {5, 9, 7}, kTolerance);
    EXPECT_FALSE(result.same);
    EXPECT_EQ(result.near_ties, 1);
    EXPECT_EQ(result.first_difference->index, 1);
    EXPECT_EQ(describe(result), "no: token 1 is 9, expected 6 (near-ties in the reference: 1)");
  }
}

TEST(CompareOutputs, NearTiesAreCountedWhereNothingDiffers) {
  const Comparison result = compare_outputs({5, 6, 7}, {0, 9.99e-5f, 1.01e-4f}, {5, 6, 7}, kTolerance);
  EXPECT_TRUE(result.same);
  EXPECT_EQ(result.near_ties, 2);
  EXPECT_EQ(describe(result), "yes (near-ties in the reference: 2)");
}

TEST(CompareOutputs, ALeadOfTheToleranceIsNoNearTie) {
  const Comparison result = compare_outputs({5, 6}, {kTolerance, kTolerance}, {5, 7}, kTolerance);
  EXPECT_FALSE(result.same);
  EXPECT_EQ(result.near_ties, 0);
}

TEST(CompareOutputs, LengthsDiffer) {
  const Comparison shorter = compare_outputs({5, 6, 7}, {1, 2, 3}, {5, 6}, kTolerance);
  EXPECT_FALSE(shorter.same);
  EXPECT_EQ(shorter.first_difference->index, 2);
  EXPECT_EQ(shorter.first_difference->expected, 7);
  EXPECT_EQ(shorter.first_difference->actual, -1);

  const Comparison longer = compare_outputs({5, 6}, {0, 0}, {5, 6, 7}, kTolerance);
  EXPECT_FALSE(longer.same);
  EXPECT_EQ(longer.first_difference->index, 2);
  EXPECT_EQ(longer.first_difference->expected, -1);
  EXPECT_EQ(longer.first_difference->actual, 7);
  EXPECT_FALSE(longer.first_difference->at_near_tie);

  EXPECT_FALSE(compare_outputs({5}, {1}, {}, kTolerance).same);
}

TEST(NearTie, DependsOnTheNumberFormat) {
  EXPECT_EQ(near_tie(DType::f32), 1e-4f);
  EXPECT_EQ(near_tie(DType::bf16), 1.0f / 16.0f);
}

}  // namespace
}  // namespace llm
