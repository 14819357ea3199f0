// Every way of reading shared keys against float64, and what it moves on the simulator beside the formula.
#include "chapters/05_grouped_query_attention/grouped_steps.h"

#include "tests/chapters/04_flash_attention/attention_problem.h"
#include "tests/support/gpu_device.h"
#include "tests/support/worked_attention.h"

namespace llm {
namespace {

using Step = AttentionStep GroupedSteps::*;

class GroupedAttention : public testing::TestWithParam<std::tuple<Device, Step, DType>> {
 protected:
  void SetUp() override { LLM_SKIP_WITHOUT(device); }

  void expect_right(AttentionCase c) {
    c.dtype = dtype;
    AttentionProblem problem(c);
    SCOPED_TRACE(describe(c));
    const auto [out, log_sum_exp] = problem.run(grouped_steps(device).*std::get<1>(GetParam()), device);
    const AttentionAnswer exact = problem.exact();
    expect_close(out, exact.out, problem.allowed_error(device));
    expect_same_log_sum_exp(to_doubles(log_sum_exp), exact.log_sum_exp, 2e-6);
  }

  Device device = std::get<0>(GetParam());
  DType dtype = std::get<2>(GetParam());
};

// As many KV heads as heads, one for all, and between; 34 and 71 heads are more than are read for at once.
TEST_P(GroupedAttention, AllGroups) {
  for (const auto& [heads, kv_heads] :
       {std::pair<int64_t, int64_t>{1, 1}, {3, 3}, {6, 3}, {6, 2}, {7, 1}, {16, 1}, {34, 2}, {71, 1}}) {
    expect_right({.heads = heads, .kv_heads = kv_heads, .block_size = 8, .sequences = {{41, 1}, {5, 1}}});
  }
}

TEST_P(GroupedAttention, AllHeadSizes) {
  for (const int64_t head_dim : {1, 6, 31, 32, 33, 65, 127, 128}) {
    expect_right({.heads = 4, .kv_heads = 2, .head_dim = head_dim, .sequences = {{35, 1}}});
  }
}

// Sequences of no query, of no key, and of all lengths around a tile's; a contiguous cache, and blocks.
TEST_P(GroupedAttention, RaggedBatches) {
  for (const int block_size : {0, 1, 16}) {
    expect_right({.heads = 4,
                  .kv_heads = 2,
                  .block_size = block_size,
                  .sequences = {{1, 1}, {31, 1}, {0, 1}, {32, 1}, {9, 0}, {33, 1}, {0, 0}, {67, 1}}});
  }
  expect_right({.heads = 2, .kv_heads = 1, .sequences = {{0, 1}}});
}

INSTANTIATE_TEST_SUITE_P(, GroupedAttention,
                         testing::Combine(testing::Values(Device::simt, Device::cuda),
                                          testing::Values(&GroupedSteps::expanded, &GroupedSteps::per_head,
                                                          &GroupedSteps::grouped, &GroupedSteps::tensor),
                                          testing::Values(DType::f32, DType::bf16)),
                         [](const auto& test) {
                           const Step step = std::get<1>(test.param);
                           return fmt::format("{}_{}_{}",
                                              step == &GroupedSteps::expanded   ? "expanded"
                                              : step == &GroupedSteps::per_head ? "per_head"
                                              : step == &GroupedSteps::grouped  ? "grouped"
                                                                                : "tensor",
                                              name_of(std::get<0>(test.param)), name_of(std::get<2>(test.param)));
                         });

// Above the formula stand the look-ups of lengths and tables, and log_sum_exp, of which a sector holds more than is
// written.
void expect_traffic(AttentionStep step, const StepShape& shape, const MemoryTraffic& formula) {
  const auto counted = count_traffic(step, shape);
  if (!counted) GTEST_SKIP() << "this build can't count: it has AddressSanitizer or no optimization";
  SCOPED_TRACE(fmt::format("{} heads over {}, {} keys: {} and {} bytes, by formula {} and {}", shape.heads,
                           shape.kv_heads, shape.n, counted->bytes_read, counted->bytes_written, formula.bytes_read,
                           formula.bytes_written));
  const auto ratio = [](int64_t a, int64_t b) { return static_cast<double>(a) / static_cast<double>(b); };
  EXPECT_GE(counted->bytes_read, formula.bytes_read);
  EXPECT_LE(ratio(counted->bytes_read, formula.bytes_read), 1.1);
  EXPECT_GE(counted->bytes_written, formula.bytes_written);
  EXPECT_LE(ratio(counted->bytes_written, formula.bytes_written), 1.2);
}

TEST(GroupedTraffic, IsWhatTheFormulasSay) {
  LLM_SKIP_WITHOUT(Device::simt);
  const GroupedSteps& steps = grouped_steps(Device::simt);
  for (const int64_t kv_heads : {8, 2, 1}) {
    for (const int64_t n : {64, 192}) {
      const StepShape shape{.n = n, .head_dim = 64, .heads = 8, .kv_heads = kv_heads, .num_seqs = 2, .num_queries = 1};
      expect_traffic(steps.grouped, shape, grouped_traffic(shape, kMaxHeadsAtOnce));
      expect_traffic(steps.per_head, shape, grouped_traffic(shape, 1));
      expect_traffic(steps.expanded, shape, expanded_traffic(shape));
    }
  }
  // More heads than are read for at once: two readings.
  const StepShape shape{.n = 128, .head_dim = 64, .heads = 32, .kv_heads = 1, .num_queries = 1};
  expect_traffic(steps.grouped, shape, grouped_traffic(shape, kMaxHeadsAtOnce));
}

// The page's example: two heads share three keys of chapter 1's page. One asks as chapter 2's fourth token does.
TEST(GroupedAttentionByHand, TwoHeadsOverOneKeyHead) {
  LLM_SKIP_WITHOUT(Device::simt);
  const Tensor q({1, 2, 4}, DType::f32), k({3, 1, 4}, DType::f32), v({3, 1, 4}, DType::f32);
  copy_row({0, 1, 1, 0}, q, 0);
  copy_row({1, 0, 0, 1}, q, 1);
  for (int64_t key = 0; key < 3; ++key) {
    copy_row(kKeys[static_cast<size_t>(key)], k, key);
    copy_row(kValues[static_cast<size_t>(key)], v, key);
  }
  const Tensor table({1, 1}, DType::i32), query_start({2}, DType::i32), context_len({1}, DType::i32);
  table.view().as<int32_t>()[0] = query_start.view().as<int32_t>()[0] = 0;
  query_start.view().as<int32_t>()[1] = 1;
  context_len.view().as<int32_t>()[0] = 3;
  const auto there = [](const Tensor& tensor) { return to_device(tensor, Device::simt); };
  const Tensor q_there = there(q), k_there = there(k), v_there = there(v), table_there = there(table);
  const Tensor start_there = there(query_start), len_there = there(context_len);
  AttentionInput in{q_there, {k_there, v_there, {}, table_there, 3}, start_there, len_there};
  in.max_query_len = 1;
  in.max_context_len = 3;
  const GroupedSteps& steps = grouped_steps(Device::simt);
  for (const AttentionStep step : {steps.expanded, steps.per_head, steps.grouped, steps.tensor}) {
    const Tensor out({1, 2, 4}, DType::f32, Device::simt);
    Workspace workspace(Device::simt);
    step(in, workspace, {out, {}});
    expect_close(to_host(out), std::vector<double>{0.7870, 0.1065, 2.0, 0.1065, 0.1554, 0.4223, 2.0, 0.4223}, 5e-5);
  }
}

// The page's example: 8 heads of 64 numbers over 1,000 keys in bf16. A group's size is what grouping saves.
TEST(GroupedTraffic, WorkedExample) {
  const auto read = [](int64_t kv_heads, int64_t at_once) {
    return grouped_traffic({.n = 1000, .head_dim = 64, .heads = 8, .kv_heads = kv_heads, .dtype = DType::bf16}, at_once)
        .bytes_read;
  };
  const int64_t queries = 8 * 64 * 2;
  EXPECT_EQ(read(8, 16), 2'048'000 + queries);
  EXPECT_EQ(read(2, 16), 512'000 + queries);
  EXPECT_EQ(read(1, 16), 256'000 + queries);
  EXPECT_EQ(read(2, 1), 2'048'000 + queries) << "fewer heads alone save capacity, and no reading";
  const StepShape shape{.n = 1000, .head_dim = 64, .heads = 8, .kv_heads = 2, .dtype = DType::bf16};
  EXPECT_EQ(expanded_traffic(shape).bytes_read, 512'000 + 2'048'000 + queries);
  EXPECT_EQ(expanded_traffic(shape).bytes_written, 2'048'000 + queries + 8 * 4);
}

}  // namespace
}  // namespace llm
