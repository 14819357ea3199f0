#include "common/sampling/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/chi_square.h"
#include "tests/support/expect_close.h"
#include "tests/support/gpu_device.h"

namespace llm {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

std::vector<float> logits_of(const std::vector<double>& weights) {
  std::vector<float> logits;
  for (const double weight : weights) logits.push_back(static_cast<float>(std::log(weight)));
  return logits;
}

std::vector<double> normalized(std::vector<double> weights) {
  double sum = 0.0;
  for (const double weight : weights) sum += weight;
  for (double& weight : weights) weight /= sum;
  return weights;
}

// The distribution of tokens as likely as 8 : 4 : 2 : 1 : 1, in another order of ids.
void expect_distribution(const SamplingParams& params, const std::vector<double>& weights,
                         std::source_location where = std::source_location::current()) {
  const testing::ScopedTrace trace(where.file_name(), static_cast<int>(where.line()), "expect_distribution");
  const std::vector<float> logits = logits_of({1, 2, 8, 1, 4});
  expect_close(token_distribution(logits, params), normalized(weights), 1e-6);
}

TEST(Argmax, IsTheFirstOfEquals) {
  EXPECT_EQ(argmax(std::vector<float>{1, 3, 2}), 1);
  EXPECT_EQ(argmax(std::vector<float>{1, 3, 3, 3}), 1);
  EXPECT_EQ(argmax(std::vector<float>{-5}), 0);
  EXPECT_EQ(argmax(std::vector<float>{-5, -4, -3}), 2);
  EXPECT_EQ(argmax(std::vector<float>{0.0f, -0.0f}), 0);
  EXPECT_EQ(argmax(std::vector<float>{-0.0f, 0.0f}), 0);
}

TEST(Argmax, PassesOverNans) {
  EXPECT_EQ(argmax(std::vector<float>{kNan, 1, kNan, 2, 2, kNan}), 3);
  EXPECT_EQ(argmax(std::vector<float>{kNan, -kInf, -1e30f}), 2);
  EXPECT_EQ(argmax(std::vector<float>{1, kInf, kNan}), 1);
  EXPECT_EQ(argmax(std::vector<float>{kNan, kNan}), 0);
  EXPECT_EQ(argmax(std::vector<float>{-kInf, -kInf}), 0);
}

TEST(TopGap, IsTheLeadOfTheLargest) {
  EXPECT_EQ(top_gap(std::vector<float>{1, 3, 2.5f}), 0.5f);
  EXPECT_EQ(top_gap(std::vector<float>{3, 1, 2.5f}), 0.5f);
  EXPECT_EQ(top_gap(std::vector<float>{2.5f, 1, 3}), 0.5f);
  EXPECT_EQ(top_gap(std::vector<float>{3, 3, 1}), 0.0f);
  EXPECT_EQ(top_gap(std::vector<float>{kNan, -7, kNan, -9}), 2.0f);
}

TEST(TokenDistribution, Temperature) {
  expect_distribution({.temperature = 1.0}, {1, 2, 8, 1, 4});
  expect_distribution({.temperature = 0.5}, {1, 4, 64, 1, 16});
  expect_distribution({.temperature = 2.0}, {1, std::sqrt(2.0), std::sqrt(8.0), 1, 2});
  expect_distribution({.temperature = 0.0}, {0, 0, 1, 0, 0});
  expect_distribution({.temperature = 1e-320}, {0, 0, 1, 0, 0});
  EXPECT_EQ(token_distribution(std::vector<float>{1, 2, 2}, {.temperature = 1e-320}), (std::vector{0.0, 0.5, 0.5}));
  EXPECT_EQ(token_distribution(std::vector<float>{1, 2, 2}, {.temperature = 0.0}), (std::vector{0.0, 1.0, 0.0}));
}

TEST(TokenDistribution, TopK) {
  expect_distribution({.temperature = 1.0, .top_k = 0}, {1, 2, 8, 1, 4});
  expect_distribution({.temperature = 1.0, .top_k = 1}, {0, 0, 8, 0, 0});
  expect_distribution({.temperature = 1.0, .top_k = 2}, {0, 0, 8, 0, 4});
  expect_distribution({.temperature = 1.0, .top_k = 4}, {1, 2, 8, 0, 4});  // of equals the lower id
  expect_distribution({.temperature = 1.0, .top_k = 5}, {1, 2, 8, 1, 4});
  expect_distribution({.temperature = 1.0, .top_k = 1 << 20}, {1, 2, 8, 1, 4});
}

TEST(TokenDistribution, TopP) {
  expect_distribution({.temperature = 1.0, .top_p = 0.0}, {0, 0, 8, 0, 0});
  expect_distribution({.temperature = 1.0, .top_p = 0.45}, {0, 0, 8, 0, 0});
  expect_distribution({.temperature = 1.0, .top_p = 0.55}, {0, 0, 8, 0, 4});
  expect_distribution({.temperature = 1.0, .top_p = 0.8}, {0, 2, 8, 0, 4});
  expect_distribution({.temperature = 1.0, .top_p = 0.9}, {1, 2, 8, 0, 4});  // of equals the lower id
  expect_distribution({.temperature = 1.0, .top_p = 0.95}, {1, 2, 8, 1, 4});
  expect_distribution({.temperature = 1.0, .top_p = 1.0}, {1, 2, 8, 1, 4});
}

TEST(TokenDistribution, MinP) {
  expect_distribution({.temperature = 1.0, .min_p = 0.0}, {1, 2, 8, 1, 4});
  expect_distribution({.temperature = 1.0, .min_p = 0.1}, {1, 2, 8, 1, 4});
  expect_distribution({.temperature = 1.0, .min_p = 0.2}, {0, 2, 8, 0, 4});
  expect_distribution({.temperature = 1.0, .min_p = 0.3}, {0, 0, 8, 0, 4});
  expect_distribution({.temperature = 1.0, .min_p = 0.6}, {0, 0, 8, 0, 0});
  expect_distribution({.temperature = 1.0, .min_p = 1.0}, {0, 0, 8, 0, 0});
  EXPECT_EQ(token_distribution(std::vector<float>{3, 3, 2}, {.temperature = 1.0, .min_p = 1.0}),
            (std::vector{0.5, 0.5, 0.0}));
}

// The table on chapter 1's page: three tokens with the logits (2, 1, 0).
TEST(TokenDistribution, WorkedExample) {
  const auto expect = [](const SamplingParams& params, const std::vector<double>& probabilities) {
    expect_close(token_distribution(std::vector<float>{2, 1, 0}, params), probabilities, 1e-5);
  };
  expect({.temperature = 1.0}, {0.66524, 0.24473, 0.09003});
  expect({.temperature = 0.5}, {0.86681, 0.11731, 0.01588});
  expect({.temperature = 2.0}, {0.50648, 0.30720, 0.18632});
  expect({.temperature = 0.0}, {1, 0, 0});
  expect({.temperature = 1.0, .top_k = 2}, {0.73106, 0.26894, 0});
  expect({.temperature = 1.0, .top_p = 0.8}, {0.73106, 0.26894, 0});
  expect({.temperature = 1.0, .min_p = 0.4}, {1, 0, 0});
}

// Each line comes out otherwise when two of the steps change places.
TEST(TokenDistribution, TemperatureThenTopKThenTopPThenMinP) {
  expect_distribution({.temperature = 0.5, .top_p = 0.7}, {0, 0, 64, 0, 0});  // 64/86 alone; at temperature 1 two
  expect_distribution({.temperature = 2.0, .min_p = 0.4}, {0, std::sqrt(2.0), std::sqrt(8.0), 0, 2});  // else two
  expect_distribution({.temperature = 1.0, .top_k = 2, .top_p = 0.6},
                      {0, 0, 8, 0, 0});  // 8/12 of what is left; else two
  expect_distribution({.temperature = 1.0, .top_p = 0.6, .min_p = 0.4}, {0, 0, 8, 0, 4});  // else 8/12, which is enough
  expect_distribution({.temperature = 1.0, .top_k = 3, .top_p = 0.9, .min_p = 0.3}, {0, 0, 8, 0, 4});
}

TEST(TokenDistribution, WhatIsNotANumberIsNeverDrawn) {
  const SamplingParams warm{.temperature = 1.0};
  EXPECT_EQ(token_distribution(std::vector<float>{kNan, 1, -kInf, 1, kNan}, warm),
            (std::vector{0.0, 0.5, 0.0, 0.5, 0.0}));
  EXPECT_EQ(token_distribution(std::vector<float>{0, kInf, 1}, warm), (std::vector{0.0, 1.0, 0.0}));
  EXPECT_EQ(token_distribution(std::vector<float>{kNan, kNan}, warm), (std::vector{1.0, 0.0}));
  EXPECT_EQ(token_distribution(std::vector<float>{-kInf, -kInf}, warm), (std::vector{1.0, 0.0}));
  EXPECT_EQ(token_distribution(std::vector<float>{3e38f, 3e38f, -3e38f}, warm), (std::vector{0.5, 0.5, 0.0}));
}

TEST(TokenDistribution, SumsToOneWhateverIsAsked) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal(0.0f, 4.0f);
  for (int trial = 0; trial < 300; ++trial) {
    std::vector<float> logits(1 + random() % 500);
    for (float& logit : logits) logit = normal(random);
    const SamplingParams params{.temperature = 0.1 + 0.01 * (random() % 300),
                                .top_k = static_cast<int>(random() % 600),
                                .top_p = 0.01 * (random() % 101),
                                .min_p = 0.01 * (random() % 101)};
    const std::vector<double> distribution = token_distribution(logits, params);
    double sum = 0.0;
    int64_t possible = 0;
    for (const double p : distribution) {
      EXPECT_GE(p, 0.0);
      sum += p;
      possible += p > 0.0;
    }
    EXPECT_NEAR(sum, 1.0, 1e-12);
    EXPECT_GT(distribution[static_cast<size_t>(argmax(logits))], 0.0);
    EXPECT_LE(possible, params.top_k > 0 ? params.top_k : 500);
  }
}

TEST(Draw, TakesTheTokenAtWhichTheSumExceedsTheNumber) {
  const std::vector<double> distribution = {0.0, 0.25, 0.0, 0.5, 0.25, 0.0};
  const auto below = [](double x) { return std::nextafter(x, 0.0); };
  EXPECT_EQ(draw(distribution, 0.0).id, 1) << "not 0, which is impossible";
  EXPECT_EQ(draw(distribution, below(0.25)).id, 1);
  EXPECT_EQ(draw(distribution, 0.25).id, 3);
  EXPECT_EQ(draw(distribution, below(0.75)).id, 3);
  EXPECT_EQ(draw(distribution, 0.75).id, 4);
  EXPECT_EQ(draw(distribution, below(1.0)).id, 4) << "not 5, which is impossible";
  EXPECT_EQ(draw(std::vector{1.0}, below(1.0)).id, 0);
}

TEST(Draw, KnowsHowNearAnotherTokenWas) {
  const std::vector<double> distribution = {0.0, 0.25, 0.0, 0.5, 0.25, 0.0};
  EXPECT_DOUBLE_EQ(draw(distribution, 0.0).distance, 0.25) << "before the first there is none";
  EXPECT_DOUBLE_EQ(draw(distribution, 0.2).distance, 0.25 - 0.2);
  EXPECT_DOUBLE_EQ(draw(distribution, 0.25).distance, 0.0);
  EXPECT_DOUBLE_EQ(draw(distribution, 0.3).distance, 0.3 - 0.25);
  EXPECT_DOUBLE_EQ(draw(distribution, 0.7).distance, 0.75 - 0.7);
  EXPECT_DOUBLE_EQ(draw(distribution, 0.95).distance, 0.95 - 0.75) << "after the last there is none";
  EXPECT_DOUBLE_EQ(draw(std::vector{0.0, 1.0, 0.0}, 0.5).distance, 1.0);
}

// Logits that all move by less than the gap never draw another token; by a little more they can.
TEST(Draw, ItsGapIsWhatLogitsMustMoveBy) {
  std::mt19937_64 random(8);
  std::normal_distribution<float> normal(0.0f, 1.5f);
  int moved = 0;
  for (int trial = 0; trial < 2000; ++trial) {
    std::vector<float> logits(7);
    for (float& logit : logits) logit = normal(random);
    const SamplingParams params{.temperature = 0.5 + 0.001 * trial};
    const double uniform = static_cast<double>(random() >> 11) * 0x1p-53;
    const Drawn drawn = draw(token_distribution(logits, params), uniform);
    const double gap = gap_of_draw(drawn.distance, params.temperature);
    for (const double share : {0.99, 6.0}) {
      std::vector<float> shifted = logits;  // against the drawn token, as hard as can be
      for (size_t i = 0; i < shifted.size(); ++i) {
        const bool up = trial % 2 == 0 ? static_cast<int32_t>(i) < drawn.id : static_cast<int32_t>(i) <= drawn.id;
        shifted[i] += static_cast<float>((up ? share : -share) * gap);
      }
      const bool same = draw(token_distribution(shifted, params), uniform).id == drawn.id;
      if (share < 1.0) {
        EXPECT_TRUE(same) << "trial " << trial;
      } else {
        moved += !same;
      }
    }
  }
  EXPECT_GT(moved, 500);
}

TEST(Draw, RoundingNeverFallsOffTheEnd) {
  const std::vector<double> thirds(10, 0.1);  // their sum in doubles lies below 1
  double sum = 0.0;
  for (const double p : thirds) sum += p;
  ASSERT_LE(sum, std::nextafter(1.0, 0.0));
  EXPECT_EQ(draw(thirds, std::nextafter(1.0, 0.0)).id, 9);
}

int32_t sample(Sampler& sampler, std::vector<float> logits) {
  return sampler.sample({logits.data(), {static_cast<int64_t>(logits.size())}, DType::f32, Device::cpu}).id;
}

// 100,000 draws with a fixed seed, of 40 tokens of which each is expected at least 200 times.
TEST(Sampler, DrawsFromItsDistribution) {
  constexpr int64_t kDraws = 100000;
  std::vector<double> weights;
  for (int i = 0; i < 40; ++i) weights.push_back(1.0 + (i * 17) % 40 * 0.25);
  const std::vector<float> logits = logits_of(weights);
  Sampler sampler({.temperature = 1.0, .seed = 11});
  std::vector<int64_t> counts(weights.size(), 0);
  for (int64_t i = 0; i < kDraws; ++i) ++counts[static_cast<size_t>(sample(sampler, logits))];

  const std::vector<double> right = normalized(weights);
  EXPECT_LT(chi_square(counts, right, kDraws), chi_square_limit(right));

  // The same check sees through distributions that are only a little wrong.
  std::vector<double> wrong = right;
  std::swap(wrong[3], wrong[7]);
  EXPECT_GT(chi_square(counts, wrong, kDraws), chi_square_limit(wrong)) << "two tokens changed places";
  for (size_t i = 0; i < wrong.size(); ++i) wrong[i] = std::pow(weights[i], 0.9);
  wrong = normalized(wrong);
  EXPECT_GT(chi_square(counts, wrong, kDraws), chi_square_limit(wrong)) << "10% off in temperature";
  wrong = weights;
  wrong[20] = 0.0;
  wrong = normalized(wrong);
  EXPECT_GT(chi_square(counts, wrong, kDraws), chi_square_limit(wrong)) << "a token that can't come";
}

// All four filters together, against probabilities worked out by hand: 8 : 4 of 1 : 2 : 8 : 1 : 4. 100,000 draws.
TEST(Sampler, DrawsOnlyWhatTheFiltersLeave) {
  constexpr int64_t kDraws = 100000;
  const std::vector<float> logits = logits_of({1, 2, 8, 1, 4});
  Sampler sampler({.temperature = 1.0, .top_k = 3, .top_p = 0.9, .min_p = 0.3, .seed = 12});
  std::vector<int64_t> counts(5, 0);
  for (int64_t i = 0; i < kDraws; ++i) ++counts[static_cast<size_t>(sample(sampler, logits))];
  const std::vector<double> right = normalized({0, 0, 8, 0, 4});
  EXPECT_LT(chi_square(counts, right, kDraws), chi_square_limit(right));
}

// The requests of one step, each with its own parameters and numbers, draw what each draws alone.
class StepSampling : public testing::TestWithParam<Device> {
 protected:
  void SetUp() override { LLM_SKIP_WITHOUT(GetParam()); }
};

TEST_P(StepSampling, EachRowIsItsOwnRequest) {
  const std::vector<SamplingParams> params = {{.temperature = 0.0, .seed = 1},
                                              {.temperature = 1.0, .seed = 2},
                                              {.temperature = 0.5, .top_k = 7, .seed = 3},
                                              {.temperature = 2.0, .top_p = 0.8, .seed = 4},
                                              {.temperature = 1.5, .top_k = 9, .top_p = 0.9, .min_p = 0.05, .seed = 5}};
  constexpr int64_t kVocab = 65;
  const auto num_rows = static_cast<int64_t>(params.size());
  std::vector<Sampler> together, alone;
  for (const SamplingParams& p : params) {
    together.emplace_back(p);
    alone.emplace_back(p);
  }
  StepSampler step(num_rows + 2, GetParam());
  std::mt19937 random(5);
  std::normal_distribution<float> normal(0.0f, 2.0f);
  for (int trial = 0; trial < 20; ++trial) {
    const Tensor logits({num_rows, kVocab}, DType::f32);
    for (int64_t i = 0; i < num_rows * kVocab; ++i) logits.view().as<float>()[i] = normal(random);
    const Tensor there = to_device(logits, GetParam());
    const int64_t first = trial % 3;  // and steps of fewer requests
    std::vector<SampleRow> rows;
    for (int64_t i = first; i < num_rows; ++i) rows.push_back(together[static_cast<size_t>(i)].next_row());
    const std::vector<TopToken> tokens = step.sample(there.view().rows(first, num_rows), rows);
    ASSERT_EQ(tokens.size(), rows.size());
    for (int64_t i = first; i < num_rows; ++i) {
      const TopToken one = alone[static_cast<size_t>(i)].sample(there.view().rows(i, i + 1));
      const float* const row = logits.view().as<float>() + i * kVocab;
      EXPECT_EQ(tokens[static_cast<size_t>(i - first)].id, one.id) << "row " << i;
      EXPECT_EQ(tokens[static_cast<size_t>(i - first)].gap, one.gap) << "row " << i;
      if (i == 0) {
        EXPECT_EQ(one.gap, top_gap({row, kVocab}));
        EXPECT_EQ(one.id, argmax({row, kVocab}));
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, StepSampling, testing::Values(Device::cpu, Device::simt, Device::cuda),
                         [](const auto& test) { return name_of(test.param); });

TEST(Sampler, GreedyIsTheArgmaxWhateverElseIsSet) {
  Sampler sampler({.temperature = 0.0, .top_k = 3, .top_p = 0.5, .min_p = 0.1, .seed = 5});
  for (int i = 0; i < 50; ++i) EXPECT_EQ(sample(sampler, {1, 3, 3, kNan}), 1);
}

TEST(Sampler, SameSeedSameTokens) {
  const std::vector<float> logits = logits_of({1, 2, 8, 1, 4});
  const auto tokens_of = [&](uint64_t seed) {
    Sampler sampler({.temperature = 1.0, .seed = seed});
    std::vector<int32_t> tokens(200);
    for (int32_t& token : tokens) token = sample(sampler, logits);
    return tokens;
  };
  EXPECT_EQ(tokens_of(7), tokens_of(7));
  EXPECT_NE(tokens_of(7), tokens_of(8));
  EXPECT_EQ(tokens_of(UINT64_MAX), tokens_of(UINT64_MAX));
  EXPECT_NE(tokens_of(UINT64_MAX), tokens_of(uint64_t{UINT32_MAX})) << "all 64 bits of the seed count";
}

// The C++ standard says what std::mt19937_64's 10,000th number from its default seed is: [rand.predef].
TEST(Sampler, NumbersAreTheSameOnEveryMachine) {
  Sampler sampler({.temperature = 1.0, .seed = 5489});
  double uniform = 0.0;
  for (int i = 0; i < 10000; ++i) {
    uniform = sampler.uniform();
    ASSERT_GE(uniform, 0.0);
    ASSERT_LT(uniform, 1.0);
  }
  EXPECT_EQ(uniform, static_cast<double>(9981545732273789042u >> 11) * 0x1p-53);
}

TEST(Sampler, OneNumberATokenWhichDrawTurnsIntoIt) {
  const std::vector<float> logits = logits_of({1, 2, 8, 1, 4});
  const SamplingParams params{.temperature = 0.7, .top_k = 4, .seed = 21};
  Sampler sampler(params), numbers(params);
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(sample(sampler, logits), draw(token_distribution(logits, params), numbers.uniform()).id);
  }
}

}  // namespace
}  // namespace llm
