// Every step on every device against float64: at most twice as far from it as a plain implementation in the same number
// format, never NaN or infinite.
#include <array>

#include "tests/chapters/04_flash_attention/attention_problem.h"
#include "tests/support/gpu_device.h"

namespace llm {
namespace {

struct NamedStep {
  const char* name;
  AttentionStep AttentionSteps::*step;
};

class Attention : public testing::TestWithParam<std::tuple<Device, NamedStep, DType>> {
 protected:
  void SetUp() override {
    LLM_SKIP_WITHOUT(device);
    step = attention_steps(device).*named.step;
    if (step == nullptr) GTEST_SKIP() << "no " << named.name << " on " << name_of(device);
    if (device == Device::cpu && dtype == DType::f16) GTEST_SKIP() << "keys on the CPU are f32 or bf16";
    decoding = named.step == &AttentionSteps::decoding;
  }

  // Queries are at most one a sequence for decoding.
  AttentionCase adapted(AttentionCase c) const {
    c.dtype = dtype;
    for (SequenceLengths& s : c.sequences) s.queries = decoding ? std::min(s.queries, 1) : s.queries;
    return c;
  }

  void expect_right(const AttentionCase& asked) {
    AttentionProblem problem(adapted(asked));
    expect_right(problem);
  }
  void expect_right(AttentionProblem& problem) {
    SCOPED_TRACE(describe(problem.shape()));
    const auto [out, log_sum_exp] = problem.run(step, device);
    const AttentionAnswer exact = problem.exact();
    expect_close(out, exact.out, problem.allowed_error(device));
    const double tolerance = named.step == &AttentionSteps::standard ? lse_roundoff() : 2e-6;
    expect_same_log_sum_exp(to_doubles(log_sum_exp), exact.log_sum_exp, tolerance);
  }
  // The standard one's scores are rounded to the format when they go to memory.
  double lse_roundoff() const { return dtype == DType::f32 ? 2e-6 : dtype == DType::f16 ? 0x1p-10 : 0x1p-7; }

  Device device = std::get<0>(GetParam());
  NamedStep named = std::get<1>(GetParam());
  DType dtype = std::get<2>(GetParam());
  AttentionStep step = nullptr;
  bool decoding = false;
};

TEST_P(Attention, AllHeadSizes) {
  for (const int64_t head_dim : {32, 64, 128, 1, 6, 31, 33, 48, 65, 80, 104, 127}) {
    expect_right({.heads = 2, .kv_heads = 1, .head_dim = head_dim, .block_size = 16, .sequences = {{37, 37}}});
  }
}

TEST_P(Attention, AllLengths) {
  for (const int32_t length : {1, 2, 31, 33, 63, 64, 65, 127, 129, 193}) {
    for (const bool causal : {true, false}) {
      expect_right({.heads = 1, .kv_heads = 1, .head_dim = 32, .causal = causal, .sequences = {{length, length}}});
    }
  }
  expect_right({.heads = 1, .kv_heads = 1, .head_dim = 64, .sequences = {{131, 131}}});
  expect_right({.heads = 1, .kv_heads = 1, .head_dim = 128, .causal = false, .sequences = {{67, 131}}});
}

TEST_P(Attention, FewQueriesOverManyKeysAndTheReverse) {
  for (const bool causal : {true, false}) {
    for (const auto& [keys, queries] :
         {SequenceLengths{5, 2}, {2, 5}, {70, 1}, {1, 70}, {130, 3}, {3, 130}, {65, 64}}) {
      expect_right({.heads = 1, .kv_heads = 1, .head_dim = 32, .causal = causal, .sequences = {{keys, queries}}});
    }
  }
}

TEST_P(Attention, RaggedBatches) {
  const std::vector<SequenceLengths> ragged = {{1, 1}, {33, 33}, {0, 0}, {65, 7}, {0, 3}, {40, 0}, {129, 1}};
  for (const bool causal : {true, false}) {
    for (const int block_size : {0, 16, 1, 5}) {
      expect_right(
          {.heads = 2, .kv_heads = 2, .head_dim = 32, .block_size = block_size, .causal = causal, .sequences = ragged});
    }
  }
}

TEST_P(Attention, SharedKeyHeads) {
  for (const auto& [heads, kv_heads] : {std::pair<int64_t, int64_t>{6, 3}, {5, 1}, {3, 3}, {34, 2}}) {
    expect_right(
        {.heads = heads, .kv_heads = kv_heads, .head_dim = 32, .block_size = 8, .sequences = {{41, 3}, {5, 5}}});
  }
}

// So many keys that decoding shares them out among blocks, some of which then have none of a shorter sequence. To the
// other steps it is one more shape, and the simulator is slow.
TEST_P(Attention, OneQueryOverManyKeys) {
  const bool few = device == Device::simt && !decoding;
  for (const int64_t head_dim : {64, 128, 33}) {
    expect_right({.heads = 3,
                  .kv_heads = 1,
                  .head_dim = head_dim,
                  .block_size = 16,
                  .sequences = {{few ? 200 : 1000, 1}, {5, 1}}});
    expect_right({.heads = 1, .kv_heads = 1, .head_dim = head_dim, .sequences = {{few ? 129 : 513, 1}}});
  }
}

// As where a step was filled up to the size of a recorded graph.
TEST_P(Attention, SequencesOfNoKeysNeedNoRowOfTheTable) {
  const AttentionCase c = adapted({.sequences = {{700, 1}, {0, 1}}});
  AttentionProblem problem(c);
  problem.table = copy_of(problem.table.view().rows(0, 1));
  expect_right(problem);
}

TEST_P(Attention, NothingToDo) {
  expect_right({.sequences = {{0, 0}}});
  expect_right({.sequences = {{7, 0}, {0, 0}}});
}

// Scores of hundreds: an exponential that was not shifted by the largest score would be infinite, and one shifted by
// another tile's would be 0 everywhere.
TEST_P(Attention, LargeScores) {
  AttentionCase c = adapted({.heads = 1, .kv_heads = 1, .head_dim = 64, .sequences = {{97, 97}}});
  AttentionProblem problem(c);
  std::mt19937_64 random(3);
  for (const Tensor& tensor : {problem.q, problem.k}) {
    for (int64_t i = 0; i < tensor.view().numel(); ++i) set(tensor, i, static_cast<float>(random() % 17) - 8.0f);
  }
  expect_right(problem);
}

TEST_P(Attention, HeadDimsThatAreTooLarge) {
  AttentionProblem problem(adapted({.head_dim = 136, .sequences = {{3, 1}}}));
  EXPECT_THROW(problem.run(step, device), InputError);
}

std::string parameter_name(const testing::TestParamInfo<Attention::ParamType>& test) {
  return std::string(name_of(std::get<0>(test.param))) + "_" + std::get<1>(test.param).name + "_" +
         name_of(std::get<2>(test.param));
}
INSTANTIATE_TEST_SUITE_P(Steps, Attention,
                         testing::Combine(testing::Values(Device::cpu, Device::simt, Device::cuda),
                                          testing::Values(NamedStep{"standard", &AttentionSteps::standard},
                                                          NamedStep{"flash_1", &AttentionSteps::flash_1},
                                                          NamedStep{"flash_2", &AttentionSteps::flash_2},
                                                          NamedStep{"decoding", &AttentionSteps::decoding}),
                                          testing::Values(DType::f32, DType::bf16, DType::f16)),
                         parameter_name);

// The tiles to choose from in f32.
TEST(AttentionTiles, AllGiveTheSame) {
  LLM_SKIP_WITHOUT(Device::simt);
  const AttentionSteps& steps = attention_steps(Device::simt);
  AttentionProblem problem({.heads = 1, .kv_heads = 1, .head_dim = 64, .sequences = {{67, 67}}});
  const std::vector<double> exact = problem.exact().out;
  for (const int tile : {16, 32, 64}) {
    expect_close(problem.run(steps.flash_1, Device::simt, tile).out, exact, 1e-6);
    expect_close(problem.run(steps.flash_2, Device::simt, tile).out, exact, 1e-6);
  }
  EXPECT_THROW(problem.run(steps.flash_2, Device::simt, 48), std::logic_error);
}

}  // namespace
}  // namespace llm
