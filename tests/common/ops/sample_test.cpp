// A GPU's draws against the distribution that the CPU's float64 gives, whose own tests are sampler_test's.
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <optional>

#include "common/ops/ops.h"
#include "tests/common/ops/ops_testing.h"
#include "tests/support/chi_square.h"
#include "tests/support/gpu_device.h"
#if defined(LLM_HAVE_SIMT)
#include "common/simt/races.h"
#include "common/simt/scheduler.h"
#endif

namespace llm {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr double kRounding = 1e-5;  // of sums of f32 weights, as a share of them all

std::vector<float> normal_logits(int64_t vocab_size, float deviation, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, deviation);
  std::vector<float> logits(static_cast<size_t>(vocab_size));
  for (float& logit : logits) logit = normal(random);
  return logits;
}

std::vector<double> grid_of(int64_t count) {
  std::vector<double> numbers;
  for (int64_t i = 0; i < count; ++i) numbers.push_back((static_cast<double>(i) + 0.5) / static_cast<double>(count));
  return numbers;
}

class GpuSample : public testing::TestWithParam<Device> {
 protected:
  void SetUp() override { LLM_SKIP_WITHOUT(GetParam()); }

  // What is drawn from the same logits by each of the numbers, all in one step.
  std::vector<TopToken> draw_all(const std::vector<float>& logits, const SamplingParams& params,
                                 const std::vector<double>& uniforms) const {
    const auto num_rows = static_cast<int64_t>(uniforms.size()), vocab_size = static_cast<int64_t>(logits.size());
    const Tensor repeated({num_rows, vocab_size}, DType::f32), rows({num_rows, kSampleRowWords}, DType::i32);
    for (int64_t i = 0; i < num_rows; ++i) {
      std::ranges::copy(logits, repeated.view().as<float>() + i * vocab_size);
      const SampleRow row{params, uniforms[static_cast<size_t>(i)]};
      std::memcpy(rows.view().as<int32_t>() + i * kSampleRowWords, &row, sizeof row);
    }
    const Tensor out({num_rows, 2}, DType::i32, GetParam());
    Workspace workspace(GetParam());
    ops_for(GetParam()).sample(to_device(repeated, GetParam()), to_device(rows, GetParam()), workspace, out);
    const Tensor here = to_host(out);
    std::vector<TopToken> tokens(uniforms.size());
    std::memcpy(tokens.data(), here.view().data, here.view().nbytes());
    return tokens;
  }

  // Each of the first tokens that are kept is drawn by the number in the middle of its share, and every number of a
  // grid draws the token in whose share it lies, but for rounding at its ends.
  void expect_right(const std::vector<float>& logits, const SamplingParams& params, int64_t grid,
                    size_t max_tokens = 33) const {
    SCOPED_TRACE(testing::Message() << logits.size() << " logits, temperature " << params.temperature << ", top-k "
                                    << params.top_k << ", top-p " << params.top_p << ", min-p " << params.min_p);
    const std::vector<double> distribution = token_distribution(logits, params);
    std::vector<double> ends(distribution.size());  // [vocab_size] the sum up to and with each token
    std::partial_sum(distribution.begin(), distribution.end(), ends.begin());
    std::vector<double> uniforms = grid_of(grid);
    std::vector<std::optional<int32_t>> expected(uniforms.size());
    for (size_t i = 0; i < distribution.size() && uniforms.size() < static_cast<size_t>(grid) + max_tokens; ++i) {
      if (distribution[i] < 3 * kRounding) continue;
      uniforms.push_back(ends[i] - distribution[i] / 2);
      expected.emplace_back(static_cast<int32_t>(i));
    }
    const std::vector<TopToken> tokens = draw_all(logits, params, uniforms);
    for (size_t i = 0; i < tokens.size(); ++i) {
      ASSERT_TRUE(0 <= tokens[i].id && tokens[i].id < static_cast<int32_t>(logits.size())) << tokens[i].id;
      const auto id = static_cast<size_t>(tokens[i].id);
      EXPECT_GT(distribution[id], 0.0) << "token " << id << " is not kept";
      EXPECT_LT(uniforms[i], ends[id] + kRounding) << "token " << id;
      EXPECT_GT(uniforms[i], ends[id] - distribution[id] - kRounding) << "token " << id;
      EXPECT_EQ(tokens[i].id, expected[i].value_or(tokens[i].id));
      const Drawn drawn = draw(distribution, uniforms[i]);
      if (drawn.id == tokens[i].id && std::isfinite(logits[id])) {
        EXPECT_NEAR(tokens[i].gap, gap_of_draw(drawn.distance, params.temperature),
                    2 * params.temperature * kRounding + std::numeric_limits<float>::min());
      }
    }
  }
};

const std::vector<SamplingParams> kAllParams = {
    {.temperature = 1.0},
    {.temperature = 0.3},
    {.temperature = 100.0},
    {.temperature = 1e-320},  // 0 in f32
    {.temperature = 1.0, .top_k = 1},
    {.temperature = 1.0, .top_k = 3},
    {.temperature = 1.5, .top_k = 50},
    {.temperature = 1.0, .top_k = 1 << 30},
    {.temperature = 1.0, .top_p = 0.0},
    {.temperature = 1.0, .top_p = 1e-9},
    {.temperature = 1.0, .top_p = 0.5},
    {.temperature = 2.0, .top_p = 0.9},
    {.temperature = 1.0, .top_p = 0.999},
    {.temperature = 1.0, .min_p = 1.0},
    {.temperature = 1.0, .min_p = 0.03},
    {.temperature = 2.0, .top_k = 20, .top_p = 0.7},
    {.temperature = 2.0, .top_k = 40, .top_p = 0.95, .min_p = 0.1},
};

TEST_P(GpuSample, DrawsTheTokenInWhoseShareTheNumberLies) {
  for (const int64_t vocab_size : {1, 2, 31, 33, 65, 2048}) {
    for (const SamplingParams& params : kAllParams) {
      expect_right(normal_logits(vocab_size, 2.0f, 1), params, vocab_size < 2048 ? 15 : 3, vocab_size < 2048 ? 33 : 9);
    }
    const auto vocab = static_cast<int32_t>(vocab_size);
    for (const int32_t k : {vocab - 1, vocab, vocab + 1}) {
      if (k > 0) expect_right(normal_logits(vocab_size, 0.5f, 2), {.temperature = 1.0, .top_k = k}, 3);
    }
  }
}

TEST_P(GpuSample, LargeVocabulary) {
  const std::vector<float> logits = normal_logits(128256, 3.0f, 3);
  expect_right(logits, {.temperature = 0.7}, 2, 1);
  expect_right(logits, {.temperature = 0.7, .top_k = 8, .top_p = 0.9, .min_p = 0.01}, 2, 2);
  expect_right(logits, {.temperature = 0.4, .top_p = 0.3}, 1, 2);
}

// Where the digits of the logits end, those of the ids decide.
TEST_P(GpuSample, OfEqualLogitsTheLowerIdStaysFirst) {
  for (const int64_t vocab_size : {31, 64, 129}) {
    const std::vector<float> logits(static_cast<size_t>(vocab_size), -1.5f);
    for (const int32_t k : {1, 5, 30, 31, 128}) expect_right(logits, {.temperature = 0.7, .top_k = k}, 10);
    for (const double p : {0.25, 0.5, 0.9, 1e-9}) expect_right(logits, {.temperature = 0.7, .top_p = p}, 10);
    expect_right(logits, {.temperature = 0.7, .top_k = 28, .top_p = 0.5}, 10);
  }
  std::vector<float> steps(200);  // 0, 0, 0, 0, 1, 1, 1, 1, 2 ... in another order of ids
  for (size_t i = 0; i < steps.size(); ++i) steps[i] = static_cast<float>(i * 77 % 200 / 4) * 0.1f;
  for (const int32_t k : {1, 2, 3, 4, 5, 6, 7, 8, 9}) expect_right(steps, {.temperature = 1.0, .top_k = k}, 10);
  for (const double p : {0.05, 0.1, 0.2, 0.5, 0.8}) expect_right(steps, {.temperature = 1.0, .top_p = p}, 10);
}

TEST_P(GpuSample, WhatIsNotANumberIsNeverDrawn) {
  for (const SamplingParams& params : kAllParams) {
    expect_right({kNan, 1, -kInf, 1, kNan, 0.5f, -kNan}, params, 7);
    expect_right({0, kInf, 1, kInf}, params, 7);
    expect_right({kNan, kNan, -kNan}, params, 7);
    expect_right({-kInf, -kInf}, params, 7);
    expect_right({kNan, -kInf, -kInf}, params, 7);
    expect_right({3e38f, 3e38f, -3e38f}, params, 7);
    expect_right({-2, -0.0f, 0.0f, -3, -0.0f, -2}, params, 7);
  }
}

TEST_P(GpuSample, TheNumbersEnds) {
  const std::vector<float> logits = {-kInf, 0, 0, 0, 0, -kInf, kNan};
  const auto ids = [&](const std::vector<TopToken>& tokens) {
    std::vector<int32_t> all;
    for (const TopToken& token : tokens) all.push_back(token.id);
    return all;
  };
  EXPECT_EQ(ids(draw_all(logits, {.temperature = 1.0}, {0.0, 0.25, 0.5, 0.75, std::nextafter(1.0, 0.0)})),
            (std::vector<int32_t>{1, 2, 3, 4, 4}));
  EXPECT_EQ(ids(draw_all({2, 1, 0}, {.temperature = 0.0}, {0.0, 0.99})), (std::vector<int32_t>{0, 0}));
}

// 2,000 draws of a seeded generator from 20 tokens, of which each is expected at least 17 times; all, and what filters
// leave of them.
TEST_P(GpuSample, FollowsTheDistribution) {
  constexpr int64_t kDraws = 2000;
  std::vector<float> logits;
  for (int i = 0; i < 20; ++i) logits.push_back(std::log(1.0f + static_cast<float>(i * 7 % 20) * 0.5f));
  std::mt19937_64 random(9);
  for (const SamplingParams& params :
       {SamplingParams{.temperature = 1.0}, {.temperature = 0.7, .top_k = 16, .top_p = 0.95, .min_p = 0.2}}) {
    std::vector<double> uniforms;
    for (int64_t i = 0; i < kDraws; ++i) uniforms.push_back(static_cast<double>(random() >> 11) * 0x1p-53);
    std::vector<int64_t> counts(logits.size());
    for (const TopToken& token : draw_all(logits, params, uniforms)) ++counts[static_cast<size_t>(token.id)];
    const std::vector<double> right = token_distribution(logits, params);
    EXPECT_LT(chi_square(counts, right, kDraws), chi_square_limit(right));
    const std::vector<double> wrong = token_distribution(logits, {.temperature = params.temperature * 1.5});
    EXPECT_GT(chi_square(counts, wrong, kDraws), chi_square_limit(wrong)) << "half as warm again";
  }
}

#if defined(LLM_HAVE_SIMT)
// Threads add to the bins in whatever order they come: the sums are integers, and the draws the same.
TEST(SimtSample, TheOrderOfThreadsDoesNotMatter) {
  const std::vector<float> logits = normal_logits(2048, 2.0f, 4);
  const std::vector<double> uniforms = grid_of(5);
  const Tensor repeated({5, 2048}, DType::f32), rows({5, kSampleRowWords}, DType::i32);
  for (int64_t i = 0; i < 5; ++i) {
    std::ranges::copy(logits, repeated.view().as<float>() + i * 2048);
    const SampleRow row{{.temperature = 1.5, .top_k = 600, .top_p = 0.9}, uniforms[static_cast<size_t>(i)]};
    std::memcpy(rows.view().as<int32_t>() + i * kSampleRowWords, &row, sizeof row);
  }
  const Tensor logits_there = to_device(repeated, Device::simt), rows_there = to_device(rows, Device::simt);
  std::optional<Tensor> first;
  simt::check_races(true);
  for (const simt::Schedule schedule : {simt::Schedule{simt::Order::forward},
                                        {simt::Order::reverse},
                                        {simt::Order::random, 1},
                                        {simt::Order::random, 2}}) {
    simt::set_schedule(schedule);
    const Tensor out({5, 2}, DType::i32, Device::simt);
    Workspace workspace(Device::simt);
    ops_for(Device::simt).sample(logits_there, rows_there, workspace, out);
    const Tensor here = to_host(out);
    if (!first) first = here;
    EXPECT_TRUE(same_bits(here, *first));
  }
  simt::set_schedule({});
  simt::check_races(false);
}
#endif

INSTANTIATE_TEST_SUITE_P(Devices, GpuSample, testing::Values(Device::simt, Device::cuda),
                         [](const auto& test) { return name_of(test.param); });

}  // namespace
}  // namespace llm
