#include "common/ops/attention.h"

#include <cmath>
#include <limits>
#include <numeric>

#include "tests/common/ops/ops_testing.h"
#include "tests/support/expect_close.h"

namespace llm {
namespace {

struct HeadShape {
  int64_t heads, kv_heads, head_dim;
};

// A sequence's keys, values and queries depend on its id alone, wherever and with whomever it is attended to.
struct Sequence {
  int32_t id;
  int32_t context_len;
  int32_t new_tokens;  // the last ones of the context

  Tensor numbers(int what, const HeadShape& shape) const {
    const int64_t heads = what == 0 ? shape.heads : shape.kv_heads;
    return random_tensor({context_len, heads, shape.head_dim}, static_cast<uint64_t>(3 * id + what));
  }
  Tensor q(const HeadShape& shape) const { return numbers(0, shape); }
  Tensor k(const HeadShape& shape) const { return numbers(1, shape); }
  Tensor v(const HeadShape& shape) const { return numbers(2, shape); }
};

// Lays the sequences out in blocks, dealt out in a scattered order, and fills what nobody may read with NaN.
struct Layout {
  Layout(const std::vector<Sequence>& sequences, HeadShape head_shape, int block_size_in, DType dtype)
      : shape(head_shape), batch(4096, 64), block_size(block_size_in) {
    const int64_t row = shape.kv_heads * shape.head_dim;
    int64_t max_blocks = 1, num_blocks = 1;
    for (const Sequence& s : sequences) {
      const int64_t blocks = (s.context_len + block_size - 1) / block_size;
      max_blocks = std::max(max_blocks, blocks);
      num_blocks += blocks;
    }
    std::vector<int32_t> free_blocks(static_cast<size_t>(num_blocks));
    std::iota(free_blocks.begin(), free_blocks.end(), 0);
    std::shuffle(free_blocks.begin(), free_blocks.end(), std::mt19937(5));
    const float nan = std::numeric_limits<float>::quiet_NaN();
    k = filled_tensor({num_blocks * block_size, shape.kv_heads, shape.head_dim}, nan, dtype);
    v = filled_tensor({num_blocks * block_size, shape.kv_heads, shape.head_dim}, nan, dtype);
    table = filled_tensor({static_cast<int64_t>(sequences.size()), max_blocks}, -1.0f, DType::i32);
    q = Tensor({4096, shape.heads, shape.head_dim}, DType::f32);
    size_t used = 0;
    for (size_t s = 0; s < sequences.size(); ++s) {
      const Sequence& sequence = sequences[s];
      const Tensor sequence_k = sequence.k(shape), sequence_v = sequence.v(shape);
      int32_t* const blocks = table.view().as<int32_t>() + static_cast<int64_t>(s) * max_blocks;
      for (int32_t p = 0; p < sequence.context_len; ++p) {
        if (p % block_size == 0) blocks[p / block_size] = free_blocks[used++];
        const int64_t slot = blocks[p / block_size] * block_size + p % block_size;
        for (int64_t i = 0; i < row; ++i) {
          set(k, slot * row + i, sequence_k.view().as<float>()[p * row + i]);
          set(v, slot * row + i, sequence_v.view().as<float>()[p * row + i]);
        }
      }
      const int32_t first = sequence.context_len - sequence.new_tokens;
      const TensorView queries = sequence.q(shape).view().rows(first, sequence.context_len);
      const int64_t at = batch.num_tokens();
      std::memcpy(q.view().rows(at, at + sequence.new_tokens).data,
                  sequence.q(shape).view().rows(first, sequence.context_len).data, queries.nbytes());
      batch.add(sequence.id, std::vector<int32_t>(static_cast<size_t>(sequence.new_tokens)), first, LogitRows::none);
    }
  }

  Tensor attend() const {
    const Tensor out({batch.num_tokens(), shape.heads, shape.head_dim}, DType::f32);
    Workspace workspace;
    cpu::attend(batch, q.view().rows(0, batch.num_tokens()), {k, v, {}, table, block_size}, workspace, out);
    return out;
  }

  HeadShape shape;
  Batch batch;
  int block_size;
  Tensor q, k, v, table;
};

// Equation 1 of the paper, in float64.
std::vector<double> reference(const std::vector<Sequence>& sequences, const HeadShape& shape, DType dtype) {
  std::vector<double> out;
  for (const Sequence& s : sequences) {
    const auto stored = [&](const Tensor& tensor) {
      std::vector<double> values = to_doubles(tensor);
      if (dtype == DType::bf16) {
        for (double& value : values) value = to_float(to_bf16(static_cast<float>(value)));
      }
      return values;
    };
    const std::vector<double> q = to_doubles(s.q(shape)), k = stored(s.k(shape)), v = stored(s.v(shape));
    const auto at = [&](int64_t position, int64_t heads, int64_t head) {
      return static_cast<size_t>((position * heads + head) * shape.head_dim);
    };
    for (int64_t p = s.context_len - s.new_tokens; p < s.context_len; ++p) {
      for (int64_t h = 0; h < shape.heads; ++h) {
        const int64_t kv_head = h / (shape.heads / shape.kv_heads);
        std::vector<double> weights, sum(static_cast<size_t>(shape.head_dim), 0.0);
        double total = 0.0;
        for (int64_t j = 0; j <= p; ++j) {
          double dot = 0.0;
          for (size_t d = 0; d < sum.size(); ++d) {
            dot += q[at(p, shape.heads, h) + d] * k[at(j, shape.kv_heads, kv_head) + d];
          }
          weights.push_back(std::exp(dot / std::sqrt(static_cast<double>(shape.head_dim))));
          total += weights.back();
        }
        for (int64_t j = 0; j <= p; ++j) {
          for (size_t d = 0; d < sum.size(); ++d) {
            sum[d] += weights[static_cast<size_t>(j)] / total * v[at(j, shape.kv_heads, kv_head) + d];
          }
        }
        out.insert(out.end(), sum.begin(), sum.end());
      }
    }
  }
  return out;
}

const std::vector<Sequence> kRagged = {{1, 1, 1}, {2, 31, 1}, {3, 65, 65}, {4, 40, 7}, {5, 33, 33}, {6, 129, 1}};

TEST(Attention, AgreesWithFloat64) {
  for (const int64_t head_dim : {1, 2, 8, 31, 33, 48, 64, 65, 80, 128, 136}) {
    for (const HeadShape shape : {HeadShape{3, 3, head_dim}, {6, 2, head_dim}, {5, 1, head_dim}}) {
      for (const DType dtype : {DType::f32, DType::bf16}) {
        expect_close(Layout(kRagged, shape, 16, dtype).attend(), reference(kRagged, shape, dtype), 1e-6);
      }
    }
  }
}

TEST(Attention, BitsDoNotDependOnBlocksOrThreads) {
  const HeadShape shape{6, 2, 48};
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const Tensor expected = Layout(kRagged, shape, 16, dtype).attend();
    for (const int block_size : {1, 3, 16, 64, 512}) {
      const Layout layout(kRagged, shape, block_size, dtype);
      for (int threads = 1; threads <= 4; ++threads) {
        const Threads scope(threads);
        EXPECT_TRUE(same_bits(layout.attend(), expected))
            << "blocks of " << block_size << ", " << threads << " threads";
      }
    }
  }
}

TEST(Attention, BitsDoNotDependOnTheBatch) {
  const HeadShape shape{4, 2, 65};
  const Tensor together = Layout(kRagged, shape, 16, DType::f32).attend();
  int64_t row = 0;
  for (const Sequence& sequence : kRagged) {
    const Tensor alone = Layout({sequence}, shape, 16, DType::f32).attend();
    EXPECT_TRUE(same_bits(together.view().rows(row, row + sequence.new_tokens), alone)) << "sequence " << sequence.id;
    row += sequence.new_tokens;
  }
}

// A prompt at once, in chunks, and token by token.
TEST(Attention, BitsDoNotDependOnTheChunk) {
  const HeadShape shape{4, 4, 32};
  const Tensor at_once = Layout({{9, 67, 67}}, shape, 16, DType::f32).attend();
  for (const int32_t chunk : {1, 5, 31}) {
    for (int32_t end = chunk; end <= 67; end += chunk) {
      // The sequence's numbers are drawn in order, so a shorter context begins with the same ones.
      const Tensor part = Layout({{9, end, chunk}}, shape, 16, DType::f32).attend();
      EXPECT_TRUE(same_bits(part, at_once.view().rows(end - chunk, end))) << "chunk " << chunk << ", end " << end;
    }
  }
}

TEST(Attention, OneKeyIsItsValue) {
  const HeadShape shape{2, 2, 33};
  const std::vector<Sequence> sequences = {{7, 1, 1}};
  expect_close(Layout(sequences, shape, 16, DType::f32).attend(), sequences[0].v(shape), 0.0);
}

TEST(Attention, LargeScoresDoNotOverflow) {
  const HeadShape shape{1, 1, 64};
  Layout layout({{8, 50, 1}}, shape, 512, DType::f32);
  // Key 20 and the query point the same way, so strongly that all other weights vanish.
  const int64_t slot = layout.table.view().as<int32_t>()[0] * 512 + 20;
  for (int64_t d = 0; d < 64; ++d) {
    set(layout.q, d, 1000.0f);
    set(layout.k, slot * 64 + d, 10.0f);
  }
  expect_close(layout.attend().view().reshaped({64}), layout.v.view().rows(slot, slot + 1).reshaped({64}), 0.0);
}

TEST(Attention, NanReachesTheQueriesThatSeeIt) {
  for (const bool in_key : {true, false}) {
    const HeadShape shape{1, 1, 40};
    Layout layout({{8, 50, 50}}, shape, 512, DType::f32);
    const int64_t slot = layout.table.view().as<int32_t>()[0] * 512 + 20;
    set(in_key ? layout.k : layout.v, slot * 40 + 39, std::numeric_limits<float>::quiet_NaN());
    const Tensor out = layout.attend();
    for (int64_t p = 0; p < 50; ++p) {
      EXPECT_EQ(std::isfinite(out.view().as<float>()[p * 40 + 39]), p < 20) << p;
      EXPECT_EQ(std::isfinite(out.view().as<float>()[p * 40]), p < 20 || !in_key) << p;
    }
  }
}

TEST(Attention, AnEmptyBatchIsNoWork) {
  Workspace workspace;
  const Tensor nothing({0, 2, 8}, DType::f32), k({4, 2, 8}, DType::f32);
  cpu::attend(Batch(1, 1), nothing, {k, k, {}, Tensor({0, 1}, DType::i32), 4}, workspace, nothing);
}

TEST(Attention, WrongShapesAreAMistakeOfTheProgram) {
  Layout layout(kRagged, {6, 2, 8}, 16, DType::f32);
  layout.batch.add(99, std::vector<int32_t>(1), 0, LogitRows::none);  // a sequence that the table does not have
  EXPECT_THROW(layout.attend(), std::logic_error);
  Layout uneven(kRagged, {6, 4, 8}, 16, DType::f32);
  EXPECT_THROW(uneven.attend(), std::logic_error);
}

}  // namespace
}  // namespace llm
