// The kernels on the simulator in every order of their threads, with the check for races: the same bits in all of them.
#include "common/simt/races.h"
#include "common/simt/scheduler.h"
#include "tests/chapters/04_flash_attention/attention_problem.h"
#include "tests/support/gpu_device.h"

namespace llm {
namespace {

#if defined(LLM_HAVE_SIMT)

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kCheckRaces = false;  // this build's kernels call no access hooks
#else
constexpr bool kCheckRaces = true;
#endif

struct Schedules : testing::Test {
  void SetUp() override { simt::check_races(kCheckRaces); }
  void TearDown() override {
    simt::check_races(false);
    simt::set_schedule({});
  }

  template <class Run>
  void expect_same_bits(Run run) {
    simt::set_schedule({simt::Order::forward, 0});
    const std::vector<Tensor> expected = run();
    for (const simt::Schedule schedule : {simt::Schedule{simt::Order::reverse, 0}, {simt::Order::random, 1}}) {
      simt::set_schedule(schedule);
      const std::vector<Tensor> actual = run();
      for (size_t i = 0; i < expected.size(); ++i) EXPECT_TRUE(same_bits(actual[i], expected[i])) << "result " << i;
    }
  }
};

TEST_F(Schedules, OfEveryStep) {
  const AttentionSteps& steps = attention_steps(Device::simt);
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const int64_t head_dim : {64, 33}) {
      for (const AttentionStep step : {steps.standard, steps.flash_1, steps.flash_2}) {
        AttentionProblem problem({.heads = 1,
                                  .kv_heads = 1,
                                  .head_dim = head_dim,
                                  .block_size = 16,
                                  .sequences = {{70, 37}, {131, 3}, {0, 33}},
                                  .dtype = dtype});
        expect_same_bits([&] {
          const auto [out, log_sum_exp] = problem.run(step, Device::simt);
          return std::vector{out, log_sum_exp};
        });
      }
      AttentionProblem problem({.heads = 3,
                                .kv_heads = 1,
                                .head_dim = head_dim,
                                .block_size = 16,
                                .sequences = {{300, 1}, {5, 1}},
                                .dtype = dtype});
      expect_same_bits([&] {
        const auto [out, log_sum_exp] = problem.run(steps.decoding, Device::simt);
        return std::vector{out, log_sum_exp};
      });
    }
  }
}

TEST_F(Schedules, OfTheBackwardPass) {
  const AttentionSteps& steps = attention_steps(Device::simt);
  AttentionProblem problem({.heads = 2, .kv_heads = 1, .head_dim = 33, .block_size = 16, .sequences = {{40, 37}}});
  const auto [out, log_sum_exp] = problem.run(steps.flash_2, Device::simt);
  const Tensor gradient = random_tensor(out.view().shape, 9);
  expect_same_bits([&] { return problem.run_backward(steps.backward, Device::simt, out, log_sum_exp, gradient); });
}

#endif

}  // namespace
}  // namespace llm
