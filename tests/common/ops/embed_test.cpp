#include "common/ops/embed.h"

#include "tests/common/ops/ops_testing.h"
#include "tests/support/expect_close.h"

namespace llm {
namespace {

TEST(Embed, WidensTheTokensRows) {
  const Tensor tokens = int32_tensor({4, 0, 4, 30, 1});
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
    for (const int64_t size : kOddSizes) {
      const Tensor table = random_tensor({31, size}, 1, dtype), out({5, size}, DType::f32);
      cpu::embed(tokens, table, out);
      const std::vector<double> values = to_doubles(table);
      std::vector<double> expected;
      for (int64_t i = 0; i < 5; ++i) {
        const int64_t row = tokens.view().as<int32_t>()[i];
        expected.insert(expected.end(), values.begin() + row * size, values.begin() + (row + 1) * size);
      }
      expect_close(out, expected, 0.0);
    }
  }
}

TEST(Embed, ManyTokensOnManyThreads) {
  const Tensor table = random_tensor({101, 129}, 1, DType::bf16), tokens({997}, DType::i32);
  for (int64_t i = 0; i < 997; ++i) set(tokens, i, static_cast<float>(i * 7 % 101));
  Tensor one_thread;
  for (int threads = 1; threads <= 4; ++threads) {
    const Threads scope(threads);
    const Tensor out({997, 129}, DType::f32);
    cpu::embed(tokens, table, out);
    if (threads == 1) one_thread = out;
    EXPECT_TRUE(same_bits(out, one_thread));
    EXPECT_EQ(out.view().as<float>()[996 * 129 + 128], to_float(table.view().as<bf16>()[996 * 7 % 101 * 129 + 128]));
  }
}

TEST(Embed, TokensOutsideTheTableAreRefused) {
  const Tensor table = random_tensor({31, 4}, 1), out({1, 4}, DType::f32);
  EXPECT_THROW(cpu::embed(int32_tensor({31}), table, out), std::logic_error);
  EXPECT_THROW(cpu::embed(int32_tensor({-1}), table, out), std::logic_error);
}

TEST(GatherRows, PicksRowsInOrder) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const Tensor x = random_tensor({9, 33}, 1, dtype), out({4, 33}, dtype);
    cpu::gather_rows(x, int32_tensor({8, 0, 0, 5}), out);
    EXPECT_TRUE(same_bits(out.view().rows(0, 1), x.view().rows(8, 9)));
    EXPECT_TRUE(same_bits(out.view().rows(1, 2), x.view().rows(0, 1)));
    EXPECT_TRUE(same_bits(out.view().rows(2, 3), x.view().rows(0, 1)));
    EXPECT_TRUE(same_bits(out.view().rows(3, 4), x.view().rows(5, 6)));
  }
}

TEST(GatherRows, NoRowsAndWrongRows) {
  const Tensor x = random_tensor({9, 33}, 1);
  cpu::gather_rows(x, int32_tensor({}), Tensor({0, 33}, DType::f32));
  EXPECT_THROW(cpu::gather_rows(x, int32_tensor({9}), Tensor({1, 33}, DType::f32)), std::logic_error);
  EXPECT_THROW(cpu::gather_rows(x, int32_tensor({1}), Tensor({2, 33}, DType::f32)), std::logic_error);
}

}  // namespace
}  // namespace llm
