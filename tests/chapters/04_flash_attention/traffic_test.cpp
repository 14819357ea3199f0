// What the steps move, counted on the simulator, beside the formulas.
#include "chapters/04_flash_attention/measure_step.h"
#include "tests/support/expect_close.h"
#include "tests/support/gpu_device.h"

namespace llm {
namespace {

struct Counted {
  AttentionStep AttentionSteps::*step;
  MemoryTraffic (*formula)(const TrafficShape&);
};

class Traffic : public testing::TestWithParam<Counted> {};

// Above the formula stand the lookups of lengths and tables, and l and m, of which a sector holds more than is asked
// for.
TEST_P(Traffic, IsWhatTheFormulaSays) {
  LLM_SKIP_WITHOUT(Device::simt);
  const AttentionStep step = attention_steps(Device::simt).*GetParam().step;
  for (const int64_t n : {64, 128, 256}) {
    for (const int64_t head_dim : {32, 64}) {
      for (const int tile : {16, 32, 64}) {
        const auto counted = count_traffic(step, {.n = n, .head_dim = head_dim, .tile = tile});
        if (!counted) GTEST_SKIP() << "this build can't count: it has AddressSanitizer or no optimization";
        const MemoryTraffic formula = GetParam().formula({n, head_dim, tile, 4});
        SCOPED_TRACE(fmt::format("n {}, head_dim {}, tile {}: {} and {} bytes, by formula {} and {}", n, head_dim, tile,
                                 counted->bytes_read, counted->bytes_written, formula.bytes_read,
                                 formula.bytes_written));
        const auto ratio = [](int64_t a, int64_t b) { return static_cast<double>(a) / static_cast<double>(b); };
        EXPECT_GE(counted->bytes_read, formula.bytes_read);
        EXPECT_LE(ratio(counted->bytes_read, formula.bytes_read), 1.2);
        EXPECT_GE(counted->bytes_written, formula.bytes_written);
        EXPECT_LE(ratio(counted->bytes_written, formula.bytes_written), 1.2);
      }
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Steps, Traffic,
                         testing::Values(Counted{&AttentionSteps::standard, standard_attention_traffic},
                                         Counted{&AttentionSteps::flash_1, flash_attention_1_traffic},
                                         Counted{&AttentionSteps::flash_2, flash_attention_2_traffic}));

// Twice the tile, half of what grows with the square; twice the length, four times.
TEST(TrafficFormulas, GrowAsThePaperSays) {
  const auto read = [](auto formula, int64_t n, int64_t tile) { return formula({n, 64, tile, 2}).bytes_read; };
  const int64_t n = 1 << 14;
  for (const auto formula : {flash_attention_1_traffic, flash_attention_2_traffic}) {
    EXPECT_NEAR(static_cast<double>(read(formula, n, 32)) / static_cast<double>(read(formula, n, 64)), 2.0, 0.02);
    EXPECT_NEAR(static_cast<double>(read(formula, 2 * n, 64)) / static_cast<double>(read(formula, n, 64)), 4.0, 0.04);
  }
  EXPECT_EQ(read(standard_attention_traffic, n, 32), read(standard_attention_traffic, n, 64));
  EXPECT_EQ(standard_attention_traffic({n, 64, 64, 2}).bytes_written - 2 * n * 64 - 4 * n, 2 * 2 * n * n);
}

// A KV head is read once for all the query heads that share it: up to 16 of them add only their own queries and
// parts of the output.
TEST(DecodingTraffic, ReadsEachKeyAndValueOnce) {
  LLM_SKIP_WITHOUT(Device::simt);
  for (const int64_t heads : {2, 8, 32}) {
    const StepShape shape{
        .n = 512, .head_dim = 64, .heads = heads, .kv_heads = 2, .num_queries = 1, .dtype = DType::bf16};
    const auto counted = count_traffic(attention_steps(Device::simt).decoding, shape);
    if (!counted) GTEST_SKIP() << "this build can't count: it has AddressSanitizer or no optimization";
    const double kv_bytes = shape.kv_bytes();
    EXPECT_GE(static_cast<double>(counted->bytes_read), kv_bytes);
    EXPECT_LE(static_cast<double>(counted->bytes_read), kv_bytes + 5120.0 * static_cast<double>(heads) + 8192.0);
  }
}

// What a program reports of a step is its error on its own problem.
TEST(MeasureStep, FindsErrors) {
  LLM_SKIP_WITHOUT(Device::simt);
  const StepShape shape{.n = 65, .head_dim = 48, .heads = 2, .num_seqs = 2, .causal = true, .block_size = 16};
  EXPECT_LE(max_error(attention_steps(Device::simt).flash_2, Device::simt, shape), 1e-6);
  const AttentionStep wrong = [](const AttentionInput& in, Workspace& workspace, const AttentionOutput& out) {
    AttentionInput changed = in;
    changed.causal = false;
    attention_steps(Device::simt).flash_2(changed, workspace, out);
  };
  EXPECT_GE(max_error(wrong, Device::simt, shape), 1e-2);
}

}  // namespace
}  // namespace llm
