#include "common/ops/rope.h"

#include <cmath>
#include <limits>

#include "tests/common/ops/ops_testing.h"
#include "tests/support/expect_close.h"

namespace llm {
namespace {

constexpr int64_t kContext = 300;

struct Case {
  int64_t num_tokens, heads, kv_heads, head_dim;
  bool norm = false;
  DType kv_dtype = DType::f32;
};

// Everything that one call reads and writes.
struct Operands {
  explicit Operands(const Case& c, uint64_t seed = 1)
      : qkv(random_tensor({c.num_tokens, (c.heads + 2 * c.kv_heads) * c.head_dim}, seed)),
        positions({c.num_tokens}, DType::i32),
        slots({c.num_tokens}, DType::i32),
        cos_sin({kContext, c.head_dim}, DType::f32),
        q_norm(c.norm ? random_tensor({c.head_dim}, seed + 1) : Tensor()),
        k_norm(c.norm ? random_tensor({c.head_dim}, seed + 2) : Tensor()),
        q({c.num_tokens, c.heads, c.head_dim}, DType::f32),
        k(filled_tensor({c.num_tokens + 3, c.kv_heads, c.head_dim}, 7.0f, c.kv_dtype)),
        v(filled_tensor({c.num_tokens + 3, c.kv_heads, c.head_dim}, 7.0f, c.kv_dtype)) {
    const int64_t half = c.head_dim / 2;
    for (int64_t p = 0; p < kContext; ++p) {
      for (int64_t i = 0; i < half; ++i) {
        const double angle = static_cast<double>(p) * std::pow(10000.0, -static_cast<double>(i) / half);
        cos_sin.view().as<float>()[p * c.head_dim + i] = static_cast<float>(std::cos(angle));
        cos_sin.view().as<float>()[p * c.head_dim + half + i] = static_cast<float>(std::sin(angle));
      }
    }
    for (int64_t t = 0; t < c.num_tokens; ++t) {
      positions.view().as<int32_t>()[t] = static_cast<int32_t>(t * 37 % kContext);
      slots.view().as<int32_t>()[t] = static_cast<int32_t>(c.num_tokens + 1 - t);  // backwards; 0, 1 and the last stay
    }
  }

  void run(int64_t begin, int64_t end) const {
    const KvView kv{k, v, slots.view().rows(begin, end), {}, 1};
    cpu::rope_and_store(qkv.view().rows(begin, end), positions.view().rows(begin, end),
                        {cos_sin, q_norm, k_norm, 1e-6f}, q.view().rows(begin, end), kv);
  }

  Tensor qkv, positions, slots, cos_sin, q_norm, k_norm, q, k, v;
};

// Equation 34 of the paper, with dimension i beside i + head_dim/2, in float64.
std::vector<double> reference_head(const Operands& o, int64_t token, const float* head, int64_t head_dim,
                                   const Tensor& norm) {
  std::vector<double> x(head, head + head_dim);
  if (!norm.empty()) {
    double squares = 0.0;
    for (const double value : x) squares += value * value;
    const double scale = 1.0 / std::sqrt(squares / static_cast<double>(head_dim) + 1e-6);
    for (int64_t i = 0; i < head_dim; ++i) x[static_cast<size_t>(i)] *= scale * norm.view().as<float>()[i];
  }
  const int32_t position = o.positions.view().as<int32_t>()[token];
  const size_t half = static_cast<size_t>(head_dim / 2);
  std::vector<double> turned(x.size());
  for (size_t i = 0; i < half; ++i) {
    const double angle = position * std::pow(10000.0, -static_cast<double>(i) / static_cast<double>(half));
    turned[i] = x[i] * std::cos(angle) - x[i + half] * std::sin(angle);
    turned[i + half] = x[i] * std::sin(angle) + x[i + half] * std::cos(angle);
  }
  return turned;
}

void check(const Case& c) {
  const Operands o(c);
  o.run(0, c.num_tokens);
  const double stored = c.kv_dtype == DType::bf16 ? 0x1p-8 : 2e-6;  // bf16 keeps 8 bits
  const int64_t kv_size = c.kv_heads * c.head_dim;
  for (int64_t t = 0; t < c.num_tokens; ++t) {
    const float* const row = o.qkv.view().as<float>() + t * o.qkv.view().dim(1);
    const int64_t slot = o.slots.view().as<int32_t>()[t];
    std::vector<double> q, k, v(row + o.qkv.view().dim(1) - kv_size, row + o.qkv.view().dim(1));
    for (int64_t h = 0; h < c.heads + c.kv_heads; ++h) {
      std::vector<double>& to = h < c.heads ? q : k;
      const auto head = reference_head(o, t, row + h * c.head_dim, c.head_dim, h < c.heads ? o.q_norm : o.k_norm);
      to.insert(to.end(), head.begin(), head.end());
    }
    expect_close(o.q.view().rows(t, t + 1), q, 2e-6);
    expect_close(o.k.view().rows(slot, slot + 1), k, stored);
    expect_close(o.v.view().rows(slot, slot + 1), v, c.kv_dtype == DType::bf16 ? 0x1p-8 : 0.0);
  }
  for (const int64_t untouched : {int64_t{0}, int64_t{1}, c.num_tokens + 2}) {
    expect_close(o.k.view().rows(untouched, untouched + 1), std::vector<double>(static_cast<size_t>(kv_size), 7.0),
                 0.0);
    expect_close(o.v.view().rows(untouched, untouched + 1), std::vector<double>(static_cast<size_t>(kv_size), 7.0),
                 0.0);
  }
}

TEST(Rope, AgreesWithFloat64) {
  for (const int64_t head_dim : {2, 6, 16, 32, 34, 48, 64, 66, 128}) {
    for (const bool norm : {false, true}) {
      for (const DType dtype : {DType::f32, DType::bf16}) {
        check({3, 4, 4, head_dim, norm, dtype});
        check({5, 6, 2, head_dim, norm, dtype});
        check({1, 7, 1, head_dim, norm, dtype});
      }
    }
  }
  check({67, 4, 2, 64, true, DType::f32});
}

TEST(Rope, PositionZeroIsLeftAlone) {
  const Case c{1, 2, 1, 6};
  const Operands o(c);
  o.run(0, 1);
  expect_close(o.q.view().reshaped({12}), o.qkv.view().reshaped({24}).rows(0, 12), 0.0);
}

TEST(Rope, BitsDependOnTheTokenAlone) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const Case c{67, 9, 3, 66, true, dtype};
    const Operands alone(c);
    for (int64_t t = 0; t < c.num_tokens; ++t) alone.run(t, t + 1);
    for (int threads = 1; threads <= 4; ++threads) {
      const Threads scope(threads);
      const Operands together(c);
      together.run(0, c.num_tokens);
      EXPECT_TRUE(same_bits(together.q, alone.q)) << threads << " threads";
      EXPECT_TRUE(same_bits(together.k, alone.k)) << threads << " threads";
      EXPECT_TRUE(same_bits(together.v, alone.v)) << threads << " threads";
    }
  }
}

TEST(Rope, NanStaysInItsToken) {
  const Case c{3, 2, 2, 8, true};
  const Operands o(c);
  set(o.qkv, 48 + 3, std::numeric_limits<float>::quiet_NaN());
  o.run(0, 3);
  for (int64_t i = 0; i < 48; ++i) {
    EXPECT_EQ(std::isfinite(o.q.view().as<float>()[i]), i / 8 != 2) << i;  // token 1, head 0
  }
}

TEST(Rope, PositionsAndSlotsOutsideAreRefused) {
  const Case c{2, 2, 2, 8};
  const Operands o(c);
  set(o.positions, 1, static_cast<float>(kContext));
  EXPECT_THROW(o.run(0, 2), std::logic_error);
  set(o.positions, 1, 0.0f);
  set(o.slots, 0, 5.0f);
  EXPECT_THROW(o.run(0, 2), std::logic_error);
  set(o.slots, 0, -1.0f);
  EXPECT_THROW(o.run(0, 2), std::logic_error);
}

}  // namespace
}  // namespace llm
