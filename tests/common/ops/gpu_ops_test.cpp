// Every operator of a GPU, and of its simulator, against the same operator on the CPU, whose own tests compare it with
// float64. In f32 they differ by the order of their sums; in bf16 by the rounding of what they read and write.
#include <array>
#include <cmath>
#include <numeric>
#include <random>

#include "common/ops/ops.h"
#include "tests/common/ops/ops_testing.h"
#include "tests/support/expect_close.h"
#include "tests/support/gpu_device.h"

namespace llm {
namespace {

class GpuOps : public testing::TestWithParam<std::tuple<Device, DType>> {
 protected:
  void SetUp() override { LLM_SKIP_WITHOUT(device); }

  Device device = std::get<0>(GetParam());
  DType dtype = std::get<1>(GetParam());  // of weights, and of what products read
  const Ops& cpu = ops_for(Device::cpu);

  const Ops& gpu() const { return ops_for(device); }
  double tolerance() const { return dtype == DType::f32 ? 2e-5 : 2e-2; }
  Tensor there(const Tensor& tensor) const { return to_device(tensor, device); }
  Tensor empty(Shape shape, DType type) const { return {shape, type, device}; }

  // The numbers in `dtype`, and what they are after that rounding in f32: what both sides compute from.
  Tensor rounded(const Tensor& numbers) const {
    const Tensor out(numbers.view().shape, dtype);
    for (int64_t i = 0; i < numbers.view().numel(); ++i) set(out, i, numbers.view().as<float>()[i]);
    return out;
  }
  static Tensor widened(const Tensor& numbers) {
    const Tensor out(numbers.view().shape, DType::f32);
    const std::vector<double> values = to_doubles(numbers);
    std::copy(values.begin(), values.end(), out.view().as<float>());
    return out;
  }
  void expect_same(const Tensor& on_gpu, const Tensor& on_cpu) const {
    const Tensor here = to_host(on_gpu);
    expect_close(here.view(), on_cpu.view(), tolerance());
  }
};

Tensor ints(const std::vector<int32_t>& values) {
  const Tensor out({static_cast<int64_t>(values.size())}, DType::i32);
  std::copy(values.begin(), values.end(), out.view().as<int32_t>());
  return out;
}

TEST_P(GpuOps, PicksRows) {
  for (const int64_t width : {1, 31, 33, 256, 1031}) {
    const Tensor table = rounded(random_tensor({7, width}, 1));
    const Tensor rows = ints({6, 0, 3, 3, 1});
    const Tensor expected({5, width}, DType::f32), actual = empty({5, width}, DType::f32);
    cpu.embed(rows, table, expected);
    gpu().embed(there(rows), there(table), actual);
    expect_same(actual, expected);
    cpu.gather_rows(widened(table), rows, expected);
    gpu().gather_rows(there(widened(table)), there(rows), actual);
    expect_same(actual, expected);
  }
}

TEST_P(GpuOps, AddsAndNormalizes) {
  for (const int64_t width : {1, 31, 33, 65, 256, 1025, 2051, 4100, 12284}) {
    for (const bool has_delta : {false, true}) {
      const Tensor weight = random_tensor({width}, 2), delta = has_delta ? random_tensor({3, width}, 3) : Tensor();
      const Tensor x = random_tensor({3, width}, 4), x_there = there(random_tensor({3, width}, 4));
      const Tensor expected({3, width}, DType::f32), actual = empty({3, width}, dtype);
      cpu.add_rmsnorm(x, delta, weight, 1e-5f, expected);
      gpu().add_rmsnorm(x_there, there(delta), there(weight), 1e-5f, actual);
      expect_same(actual, expected);
      expect_same(x_there, x);
    }
  }
}

TEST_P(GpuOps, Multiplies) {
  for (const int64_t rows : {1, 2, 3, 4, 5, 7, 8, 9, 31, 65}) {
    for (const auto& [out_features, in_features] :
         {std::pair<int64_t, int64_t>{1, 1}, {33, 31}, {31, 64}, {65, 1096}, {7, 2056}}) {
      for (const bool has_bias : {false, true}) {
        const Tensor x = rounded(random_tensor({rows, in_features}, 5));
        const Tensor upper = rounded(random_tensor({out_features, in_features}, 6));
        const Tensor lower = rounded(random_tensor({3, in_features}, 7));
        const Tensor bias = has_bias ? random_tensor({out_features + 3}, 8) : Tensor();
        const std::array<TensorView, 2> parts{upper.view(), lower.view()};
        const Tensor expected({rows, out_features + 3}, DType::f32),
            actual = empty({rows, out_features + 3}, DType::f32);
        cpu.matmul(widened(x), cpu.make_matrix(parts, DType::f32), bias, expected);
        gpu().matmul(there(x), gpu().make_matrix(parts, dtype), there(bias), actual);
        const Tensor here = to_host(actual);
        expect_close(here.view(), expected.view(), 1e-5 * std::sqrt(static_cast<double>(in_features)));
      }
    }
  }
}

// A text of a few that are decoded together is the one that it is alone.
TEST_P(GpuOps, AFewRowsHaveTheBitsOfEachAlone) {
  for (const int64_t in_features : {8, 256, 1096, 2056}) {
    const Tensor x = rounded(random_tensor({8, in_features}, 5));
    const Tensor numbers = rounded(random_tensor({66, in_features}, 6)), bias = there(random_tensor({66}, 7));
    const TensorView part = numbers;
    const Matrix weight = gpu().make_matrix({&part, 1}, dtype);
    const Tensor alone = empty({8, 66}, DType::f32), gated_alone = empty({8, 33}, dtype);
    const Tensor gate_up = empty({8, 66}, DType::f32), x_there = there(x);
    for (int64_t r = 0; r < 8; ++r) {
      gpu().matmul(x_there.view().rows(r, r + 1), weight, bias, alone.view().rows(r, r + 1));
      gpu().swiglu_matmul(x_there.view().rows(r, r + 1), weight, gate_up, gated_alone.view().rows(r, r + 1));
    }
    for (const int64_t rows : {2, 3, 4, 5, 7, 8}) {
      // The row after them belongs to somebody else.
      const Tensor together = there(filled_tensor({rows + 1, 66}, 7.0f));
      const Tensor gated = there(filled_tensor({rows + 1, 33}, 7.0f, dtype));
      gpu().matmul(x_there.view().rows(0, rows), weight, bias, together.view().rows(0, rows));
      gpu().swiglu_matmul(x_there.view().rows(0, rows), weight, gate_up, gated.view().rows(0, rows));
      const Tensor products = to_host(together), gates = to_host(gated);
      EXPECT_TRUE(same_bits(products.view().rows(0, rows), to_host(alone).view().rows(0, rows))) << rows;
      EXPECT_TRUE(same_bits(gates.view().rows(0, rows), to_host(gated_alone).view().rows(0, rows))) << rows;
      EXPECT_TRUE(same_bits(products.view().rows(rows, rows + 1), filled_tensor({1, 66}, 7.0f))) << rows;
      EXPECT_TRUE(same_bits(gates.view().rows(rows, rows + 1), filled_tensor({1, 33}, 7.0f, dtype))) << rows;
    }
  }
}

TEST_P(GpuOps, MultipliesAndGates) {
  for (const int64_t rows : {1, 3, 8, 9}) {
    for (const int64_t width : {1, 2, 31, 33, 688, 1031}) {
      for (const int64_t in_features : {8, 31, 1096}) {
        const Tensor x = rounded(random_tensor({rows, in_features}, 9));
        const Tensor numbers = rounded(random_tensor({2 * width, in_features}, 10));
        const TensorView part = numbers;
        const Tensor expected({rows, width}, DType::f32), actual = empty({rows, width}, dtype);
        cpu.swiglu_matmul(widened(x), cpu.make_matrix({&part, 1}, DType::f32), Tensor({rows, 2 * width}, DType::f32),
                          expected);
        gpu().swiglu_matmul(there(x), gpu().make_matrix({&part, 1}, dtype), empty({rows, 2 * width}, DType::f32),
                            actual);
        // A gate and a product of sums of as many numbers.
        const Tensor here = to_host(actual);
        expect_close(here.view(), expected.view(), tolerance() * std::sqrt(static_cast<double>(in_features)));
      }
    }
  }
}

TEST_P(GpuOps, RotatesAndStores) {
  for (const int64_t head_dim : {2, 6, 32, 64, 66, 128}) {
    for (const bool norms : {false, true}) {
      constexpr int64_t kHeads = 6, kKvHeads = 3, kTokens = 5, kSlots = 11;
      const Tensor qkv = random_tensor({kTokens, (kHeads + 2 * kKvHeads) * head_dim}, 10);
      const Tensor cos_sin = random_tensor({40, head_dim}, 11);
      const Tensor norm = norms ? random_tensor({head_dim}, 12) : Tensor();
      const Tensor positions = ints({0, 39, 7, 8, 1}), slots = ints({10, 0, 4, 5, 7});
      const auto run = [&](const Ops& ops, Device where, DType type) {
        const Tensor q({kTokens, kHeads, head_dim}, type, where);
        const Tensor zeros = filled_tensor({kSlots, kKvHeads, head_dim}, 0.0f, type);
        const Tensor k = to_device(zeros, where);
        const Tensor v = to_device(filled_tensor({kSlots, kKvHeads, head_dim}, 0.0f, type), where);
        ops.rope_and_store(to_device(qkv, where), to_device(positions, where),
                           {to_device(cos_sin, where), to_device(norm, where), to_device(norm, where), 1e-5f}, q,
                           {k, v, to_device(slots, where), {}, 0});
        return std::array{to_host(q), to_host(k), to_host(v)};
      };
      const auto expected = run(cpu, Device::cpu, DType::f32), actual = run(gpu(), device, dtype);
      for (size_t i = 0; i < 3; ++i) expect_close(actual[i].view(), expected[i].view(), tolerance());
    }
  }
}

TEST_P(GpuOps, FindsTheLikeliest) {
  if (dtype != DType::f32) GTEST_SKIP() << "logits are f32";
  for (const int64_t width : {1, 2, 4, 31, 33, 1023, 1024, 1025, 32000, 32003, 128256, 151936}) {
    const Tensor logits = random_tensor({4, width}, 15);
    float* const row = logits.view().as<float>();
    row[width - 1] = 3.0f;                                                 // row 0: the last
    for (const int64_t i : {width / 3, width / 2}) row[width + i] = 2.0f;  // row 1: a tie, of which the first counts
    for (int64_t i = 0; i + 1 < width; ++i) row[2 * width + i] = NAN;      // row 2: one number among NaNs
    const Tensor expected({4, 2}, DType::i32), actual = empty({4, 2}, DType::i32);
    Workspace workspace_here, workspace(device);
    cpu.argmax(logits, workspace_here, expected);
    gpu().argmax(there(logits), workspace, actual);
    const Tensor here = to_host(actual);
    EXPECT_EQ(std::memcmp(here.view().data, expected.view().data, expected.view().nbytes()), 0) << width;
  }
}

struct AttentionCase {
  int64_t heads, kv_heads, head_dim;
  int block_size;
  std::vector<std::pair<int32_t, int32_t>> sequences;  // (context_len, new tokens)
};

class GpuAttention : public GpuOps {
 protected:
  // Keys and values stand in blocks dealt out in a scattered order; what nobody may read is NaN.
  void expect_right(const AttentionCase& c) {
    Batch batch(4096, 64, device), batch_here(4096, 64);
    int32_t num_blocks = 1, max_blocks = 1;
    for (const auto& [context_len, new_tokens] : c.sequences) {
      const std::vector<int32_t> tokens(static_cast<size_t>(new_tokens));
      for (Batch* b : {&batch, &batch_here}) b->add(0, tokens, context_len - new_tokens, LogitRows::none);
      const int32_t blocks = (context_len + c.block_size - 1) / c.block_size;
      num_blocks += blocks;
      max_blocks = std::max(max_blocks, blocks);
    }
    batch.upload();
    std::vector<int32_t> free_blocks(static_cast<size_t>(num_blocks));
    std::iota(free_blocks.begin(), free_blocks.end(), 0);
    std::shuffle(free_blocks.begin(), free_blocks.end(), std::mt19937(1));
    const int64_t row = c.kv_heads * c.head_dim, slots = int64_t{num_blocks} * c.block_size;
    const Tensor k = filled_tensor({slots, c.kv_heads, c.head_dim}, NAN, dtype);
    const Tensor v = filled_tensor({slots, c.kv_heads, c.head_dim}, NAN, dtype);
    const Tensor table = filled_tensor({static_cast<int64_t>(c.sequences.size()), max_blocks}, -1.0f, DType::i32);
    const Tensor numbers = random_tensor({slots, 2 * row}, 13);
    for (size_t s = 0; s < c.sequences.size(); ++s) {
      int32_t* const blocks = table.view().as<int32_t>() + static_cast<int64_t>(s) * max_blocks;
      for (int32_t p = 0; p < c.sequences[s].first; ++p) {
        if (p % c.block_size == 0) {
          blocks[p / c.block_size] = free_blocks.back();
          free_blocks.pop_back();
        }
        const int64_t slot = int64_t{blocks[p / c.block_size]} * c.block_size + p % c.block_size;
        for (int64_t i = 0; i < row; ++i) {
          set(k, slot * row + i, numbers.view().as<float>()[slot * 2 * row + i]);
          set(v, slot * row + i, numbers.view().as<float>()[slot * 2 * row + row + i]);
        }
      }
    }
    const Shape shape{batch.num_tokens(), c.heads, c.head_dim};
    const Tensor q = rounded(random_tensor(shape, 14));
    const Tensor expected(shape, DType::f32), actual = empty(shape, dtype);
    Workspace workspace, workspace_there(device);
    cpu.attend(batch_here, widened(q), {widened(k), widened(v), {}, table, c.block_size}, workspace, expected);
    gpu().attend(batch, there(q), {there(k), there(v), {}, there(table), c.block_size}, workspace_there, actual);
    expect_same(actual, expected);
  }
};

TEST_P(GpuAttention, AllHeadSizes) {
  for (const int64_t head_dim : {2, 4, 6, 10, 16, 32, 48, 64, 66, 80, 96, 128, 192, 256}) {
    SCOPED_TRACE(head_dim);
    expect_right({4, 2, head_dim, 16, {{1, 1}, {33, 1}, {40, 9}}});
  }
}

TEST_P(GpuAttention, AllLengthsAndBlockSizes) {
  for (const int block_size : {1, 5, 16, 1000}) {
    SCOPED_TRACE(block_size);
    expect_right({6, 3, 32, block_size, {{1, 1}, {2, 2}, {31, 1}, {33, 33}, {65, 1}, {127, 3}, {300, 1}}});
    expect_right({5, 1, 16, block_size, {{129, 17}}});
    expect_right({3, 3, 16, block_size, {{64, 1}}});
  }
}

std::string parameter_name(const testing::TestParamInfo<std::tuple<Device, DType>>& test) {
  return std::string(name_of(std::get<0>(test.param))) + "_" + name_of(std::get<1>(test.param));
}
const auto kEverywhere =
    testing::Combine(testing::Values(Device::simt, Device::cuda), testing::Values(DType::f32, DType::bf16));
INSTANTIATE_TEST_SUITE_P(Devices, GpuOps, kEverywhere, parameter_name);
INSTANTIATE_TEST_SUITE_P(Devices, GpuAttention, kEverywhere, parameter_name);

}  // namespace
}  // namespace llm
