#include "exercises/04_flash_attention.h"

#include <functional>
#include <limits>
#include <random>

#include "chapters/04_flash_attention/measure_step.h"
#include "chapters/04_flash_attention/online_softmax.h"
#include "exercises/checks/check.h"
#include "tests/support/gpu_device.h"
#if defined(LLM_HAVE_SIMT)
#include "common/simt/races.h"
#include "common/simt/scheduler.h"
#include "common/simt/traffic.h"
#endif

namespace llm {
namespace {

#if defined(LLM_HAVE_SIMT)

constexpr const char* kNotCounted = "this build's kernels call no access hooks";

// What `work` writes and reads of global memory; all zeros where the build can't tell.
simt::KernelCounts count(const std::string& kernel, const std::function<void()>& work) {
  simt::reset_counts();
  simt::count_traffic(true);
  work();
  simt::count_traffic(false);
  simt::KernelCounts found;
  for (const auto& [name, counts] : simt::counts()) {
    if (name.starts_with(kernel)) found = counts;
  }
  simt::reset_counts();
  return found;
}

TEST(Chapter4, Exercise1) {
  StepProblem problem({.n = 65, .heads = 3, .kv_heads = 3}, Device::simt);
  const AttentionSteps& steps = attention_steps(Device::simt);
  const auto scores = count("scores_kernel", [&] { problem.run(steps.standard); }).stores.bytes;
  if (scores == 0) GTEST_SKIP() << kNotCounted;
  expect_prediction("kScoreBytes", exercises::kScoreBytes, static_cast<int64_t>(scores),
                    "on the simulator chapter 4's scores_kernel wrote");
  const auto written = count("flash_attention_2", [&] { problem.run(steps.flash_2); }).stores.bytes;
  expect_prediction("kLogSumExpBytes", exercises::kLogSumExpBytes,
                    static_cast<int64_t>(written - problem.out.view().nbytes()),
                    "beside the output chapter 4's flash attention wrote");
}

#else

TEST(Chapter4, Exercise1) { GTEST_SKIP() << missing_device(Device::simt); }

#endif

TEST(Chapter4, Exercise2) {
  OnlineSoftmax state(1);
  state.add_tile(std::vector<float>{2, 4}, std::vector<float>{1, 2});
  state.add_tile(std::vector<float>{6}, std::vector<float>{3});
  state.add_tile(std::vector<float>{5}, std::vector<float>{4});
  const auto expect = [](const char* name, double predicted, float actual) {
    expect_prediction(name, predicted, double{actual}, "chapter 4's online softmax says", 0.001);
  };
  expect("kThirdMax", exercises::kThirdMax, state.max);
  expect("kThirdSum", exercises::kThirdSum, state.sum);
  expect("kThirdOutput", exercises::kThirdOutput, state.result()[0]);
}

TEST(Chapter4, Exercise3) {
  constexpr size_t kHeadDim = 3;
  std::mt19937_64 random(1);
  for (const double scale : {1.0, 30.0, 5000.0}) {
    std::uniform_real_distribution<double> numbers(-scale, scale);
    for (const size_t n : {0, 1, 2, 31, 65}) {
      std::vector<double> scores(n), values(n * kHeadDim);
      for (double& score : scores) score = numbers(random);
      for (double& value : values) value = numbers(random) / scale;
      const auto attend = [&](size_t begin, size_t end) {
        exercises::PartialOutput part{std::vector<double>(kHeadDim), -std::numeric_limits<double>::infinity()};
        if (begin == end) return part;
        const double largest = *std::max_element(scores.begin() + static_cast<ptrdiff_t>(begin),
                                                 scores.begin() + static_cast<ptrdiff_t>(end));
        double sum = 0.0;
        for (size_t key = begin; key < end; ++key) {
          sum += std::exp(scores[key] - largest);
          for (size_t d = 0; d < kHeadDim; ++d)
            part.out[d] += std::exp(scores[key] - largest) * values[key * kHeadDim + d];
        }
        for (double& o : part.out) o /= sum;
        part.log_sum_exp = largest + std::log(sum);
        return part;
      };
      const exercises::PartialOutput whole = attend(0, n);
      for (size_t middle = 0; middle <= n; middle += 1 + n / 5) {
        const exercises::PartialOutput merged = exercises::merge(attend(0, middle), attend(middle, n));
        const std::string situation =
            fmt::format("{} keys and {}, with scores between −{} and {}.", middle, n - middle, scale, scale);
        ASSERT_ANSWER(merged.out.size(), kHeadDim) << "Numbers in the output: head_dim.";
        if (n == 0) {
          ASSERT_ANSWER(merged.log_sum_exp, whole.log_sum_exp) << situation;
        } else {
          ASSERT_NEAR_ANSWER(merged.log_sum_exp, whole.log_sum_exp, 1e-9) << situation;
        }
        for (size_t d = 0; d < kHeadDim; ++d) ASSERT_NEAR_ANSWER(merged.out[d], whole.out[d], 1e-9) << situation;
      }
    }
  }
}

#if defined(LLM_HAVE_SIMT)

struct SoftmaxProblem {
  SoftmaxProblem(int64_t rows, int64_t n) : S({rows, n}, DType::f32), P({rows, n}, DType::f32, Device::simt) {
    std::mt19937_64 random(static_cast<uint64_t>(n));
    for (int64_t i = 0; i < rows * n; ++i) S.view().as<float>()[i] = static_cast<float>(random() % 40'000) * 1e-3f - 20;
    S_there = to_device(S, Device::simt);
  }

  void run() { simt::exercises::softmax(S_there, P); }

  // The first number that is wrong, in a sentence; empty where there is none.
  std::string mistake() const {
    const Tensor P_here = to_host(P);
    const int64_t n = S.view().dim(1);
    for (int64_t row = 0; row < S.view().dim(0); ++row) {
      const float *const scores = S.view().as<float>() + row * n, *const actual = P_here.view().as<float>() + row * n;
      double sum = 0.0;
      for (int64_t i = 0; i < n; ++i) sum += std::exp(double{scores[i]});
      for (int64_t i = 0; i < n; ++i) {
        const double expected = std::exp(double{scores[i]}) / sum;
        if (std::abs(actual[i] - expected) <= 1e-5 * expected + 1e-12) continue;
        return fmt::format("Number {} of {} in row {} is {}, but should be {}.", i, n, row, actual[i], expected);
      }
    }
    return "";
  }

  Tensor S, S_there, P;
};

// The first mistake in any order of the threads, or the simulator's own complaint.
std::string mistake_in_any_order(int64_t rows, int64_t n) {
  SoftmaxProblem problem(rows, n);
  std::string mistake;
  const simt::Schedule schedules[] = {{simt::Order::forward, 0}, {simt::Order::reverse, 0}, {simt::Order::random, 1}};
  for (const simt::Schedule& schedule : schedules) {
    simt::set_schedule(schedule);
    try {
      problem.run();
      if (mistake.empty()) mistake = problem.mistake();
    } catch (const simt::KernelError& error) {
      if (mistake.empty()) mistake = fmt::format("The simulator says: {}.", error.what());
    }
  }
  simt::set_schedule({});
  return mistake;
}

TEST(Chapter4, Exercise4) {
  for (const int64_t n : {1, 31, 33, 64, 65, 131, 200}) {
    const std::string mistake = mistake_in_any_order(3, n);
    if (!mistake.empty()) FAIL() << "Three rows of " << n << ". " << mistake;
  }
  SoftmaxProblem problem(1, 65);
  const auto barriers = count("", [&] { problem.run(); }).barriers;
  constexpr uint64_t kNeeded = 2 * (6 + 2);
  if (barriers > kNeeded) {
    FAIL()
        << "The result is right, but all wait " << barriers << " times where " << kNeeded
        << " would do: in each combine_threads once before each of the 6 halvings, once before values_smem[0] is read "
           "and once after that.";
  }
}

TEST(Chapter4, Exercise5) {
  uint64_t bytes_read = 0;
  for (const int64_t n : {1, 31, 33, 64, 65, 131, 1000}) {
    const std::string mistake = mistake_in_any_order(2, n);
    if (!mistake.empty()) FAIL() << "Two rows of " << n << ". " << mistake;
    SoftmaxProblem problem(2, n);
    bytes_read = count("", [&] { problem.run(); }).loads.bytes;
    const double times = static_cast<double>(bytes_read) / static_cast<double>(2 * n * 4);
    if (times > 2.0) {
      FAIL() << "Two rows of " << n << ": the result is right, but each score is read " << times << " times.";
    }
  }
  if (bytes_read == 0) GTEST_SKIP() << kNotCounted;
}

#else

TEST(Chapter4, Exercise4) { GTEST_SKIP() << missing_device(Device::simt); }
TEST(Chapter4, Exercise5) { GTEST_SKIP() << missing_device(Device::simt); }

#endif

}  // namespace
}  // namespace llm
