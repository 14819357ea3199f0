#include "chapters/04_flash_attention/online_softmax.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/support/expect_close.h"

namespace llm {
namespace {

// docs/04-flash-attention.md: scores [2, 4] and then [6], with one number a value.
TEST(OnlineSoftmax, WorkedExample) {
  OnlineSoftmax state(1);
  state.add_tile(std::vector<float>{2, 4}, std::vector<float>{1, 2});
  EXPECT_EQ(state.max, 4.0f);
  EXPECT_NEAR(state.sum, 1.135, 5e-4);
  EXPECT_NEAR(state.out[0], 2.135, 5e-4);  // e^-2 · 1 + 1 · 2
  EXPECT_NEAR(state.result()[0], 1.881, 5e-4);
  state.add_tile(std::vector<float>{6}, std::vector<float>{3});
  EXPECT_EQ(state.max, 6.0f);
  EXPECT_NEAR(state.sum, 1.154, 5e-4);
  EXPECT_NEAR(state.out[0], 3.289, 5e-4);  // 2.135 · e^-2 + 1 · 3
  EXPECT_NEAR(state.result()[0], 2.851, 5e-4);
  EXPECT_NEAR(state.log_sum_exp(), 6.143, 5e-4);
  // The page's exercise: a fourth score that is not the largest.
  state.add_tile(std::vector<float>{5}, std::vector<float>{4});
  EXPECT_EQ(state.max, 6.0f);
  EXPECT_NEAR(state.sum, 1.522, 5e-4);
  EXPECT_NEAR(state.out[0], 4.761, 5e-4);
  EXPECT_NEAR(state.result()[0], 3.129, 5e-4);
}

// The page's two parts, each a softmax of its own: to join them is the same recurrence, with their log_sum_exp as
// scores and their outputs as values.
TEST(OnlineSoftmax, JoinsParts) {
  OnlineSoftmax first(1), second(1), joined(1);
  first.add_tile(std::vector<float>{2, 4}, std::vector<float>{1, 2});
  second.add_tile(std::vector<float>{6}, std::vector<float>{3});
  EXPECT_NEAR(first.log_sum_exp(), 4.127, 5e-4);
  EXPECT_EQ(second.log_sum_exp(), 6.0f);
  joined.add_tile(std::vector{first.log_sum_exp(), second.log_sum_exp()},
                  std::vector{first.result()[0], second.result()[0]});
  EXPECT_NEAR(joined.log_sum_exp(), 6.143, 5e-4);
  EXPECT_NEAR(std::exp(first.log_sum_exp() - joined.log_sum_exp()), 0.133, 5e-4);
  EXPECT_NEAR(std::exp(second.log_sum_exp() - joined.log_sum_exp()), 0.867, 5e-4);
  EXPECT_NEAR(joined.result()[0], 2.851, 5e-4);
}

// The page's backward pass: P again from log_sum_exp, and how much the output changes with each score, also by a small
// step to both sides of it.
TEST(OnlineSoftmax, GradientsFromLogSumExp) {
  const auto output_of = [](const std::vector<float>& scores) {
    OnlineSoftmax state(1);
    state.add_tile(scores, std::vector<float>{1, 2, 3});
    return std::pair(double{state.result()[0]}, double{state.log_sum_exp()});
  };
  const std::vector<float> scores = {2, 4, 6};
  const auto [out, log_sum_exp] = output_of(scores);
  const double P_on_page[] = {0.0159, 0.1173, 0.8668}, dS_on_page[] = {-0.0294, -0.0998, 0.1292};
  for (size_t i = 0; i < scores.size(); ++i) {
    SCOPED_TRACE(i);
    const double P = std::exp(double{scores[i]} - log_sum_exp), value = static_cast<double>(i + 1);
    EXPECT_NEAR(P, P_on_page[i], 5e-5);
    EXPECT_NEAR(P * (value - out), dS_on_page[i], 5e-5);
    std::vector<float> more = scores, less = scores;
    more[i] += 0.125f;
    less[i] -= 0.125f;
    EXPECT_NEAR((output_of(more).first - output_of(less).first) / 0.25, dS_on_page[i], 1e-3);
  }
}

TEST(OnlineSoftmax, PrintsItsState) {
  EXPECT_EQ(trace_online_softmax(std::vector<float>{2, 4, 6}, std::vector<float>{1, 2, 3}, 2),
            "scores [2, 4]  m 4  l 1.135  O / l (1.881)\n"
            "scores [6]  m 6  l 1.154  O / l (2.851)\n");
}

TEST(OnlineSoftmax, AgreesWithFloat64WhateverTheTiles) {
  std::mt19937_64 random(1);
  std::uniform_real_distribution<float> numbers(-20.0f, 20.0f);
  for (const size_t length : {1, 2, 31, 33, 65, 127}) {
    constexpr size_t kHeadDim = 3;
    std::vector<float> scores(length), values(length * kHeadDim);
    for (float& score : scores) score = numbers(random);
    for (float& value : values) value = numbers(random);
    double total = 0.0;
    std::vector<double> expected(kHeadDim);
    for (size_t i = 0; i < length; ++i) {
      const double weight = std::exp(double{scores[i]});
      total += weight;
      for (size_t d = 0; d < kHeadDim; ++d) expected[d] += weight * values[i * kHeadDim + d];
    }
    for (double& e : expected) e /= total;
    for (const size_t tile : {size_t{1}, size_t{2}, size_t{7}, size_t{64}, length}) {
      OnlineSoftmax state(kHeadDim);
      for (size_t begin = 0; begin < length; begin += tile) {
        const size_t count = std::min(tile, length - begin);
        state.add_tile(std::span(scores).subspan(begin, count),
                       std::span(values).subspan(begin * kHeadDim, count * kHeadDim));
      }
      expect_close(state.result(), expected, 1e-6);
      EXPECT_NEAR(state.log_sum_exp(), std::log(total), 1e-5);
    }
  }
}

TEST(OnlineSoftmax, MaskedTiles) {
  const float infinity = std::numeric_limits<float>::infinity();
  OnlineSoftmax state(1);
  EXPECT_EQ(state.result(), std::vector<float>{0});
  EXPECT_EQ(state.log_sum_exp(), -infinity);
  state.add_tile(std::vector<float>{-infinity, -infinity}, std::vector<float>{7, 8});
  EXPECT_EQ(state.result(), std::vector<float>{0});
  EXPECT_EQ(state.log_sum_exp(), -infinity);
  state.add_tile(std::vector<float>{-infinity, 1}, std::vector<float>{7, 8});
  EXPECT_EQ(state.result(), std::vector<float>{8});
  EXPECT_EQ(state.log_sum_exp(), 1.0f);
}

}  // namespace
}  // namespace llm
