// Attention problems of every shape for the tests of chapter 4: laid out in scattered blocks with NaN wherever nobody
// may read, answered in float64 and by a plain implementation in the problem's own number format.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "chapters/04_flash_attention/attention_input.h"
#include "common/tensor/device_memory.h"
#include "tests/common/ops/ops_testing.h"
#include "tests/support/expect_close.h"

namespace llm {

struct SequenceLengths {
  int32_t keys, queries;
};

struct AttentionCase {
  int64_t heads = 2, kv_heads = 1, head_dim = 32;
  int block_size = 0;  // 0: a block as long as the longest sequence, as a contiguous cache has
  bool causal = true;
  std::vector<SequenceLengths> sequences = {{33, 33}};
  DType dtype = DType::f32;
  uint64_t seed = 1;
};

inline std::string describe(const AttentionCase& c) {
  std::string text = fmt::format("{} heads over {}, head_dim {}, block {}, {}, {}", c.heads, c.kv_heads, c.head_dim,
                                 c.block_size, c.causal ? "causal" : "not causal", name_of(c.dtype));
  for (const auto& [keys, queries] : c.sequences) text += fmt::format(", {} queries over {} keys", queries, keys);
  return text;
}

struct AttentionAnswer {
  std::vector<double> out;          // [num_tokens, heads, head_dim]
  std::vector<double> log_sum_exp;  // [num_tokens, heads]
};

class AttentionProblem {
 public:
  explicit AttentionProblem(const AttentionCase& c) : c_(c) {
    int32_t longest = 1;
    for (const SequenceLengths& s : c.sequences) longest = std::max(longest, s.keys);
    block_size_ = c.block_size > 0 ? c.block_size : longest;
    const int64_t max_blocks = (longest + block_size_ - 1) / block_size_;
    const auto num_seqs = static_cast<int64_t>(c.sequences.size());
    std::vector<int32_t> free_blocks(static_cast<size_t>(num_seqs * max_blocks + 1));
    std::iota(free_blocks.begin(), free_blocks.end(), 0);
    std::shuffle(free_blocks.begin(), free_blocks.end(), std::mt19937(c.seed));
    const int64_t num_slots = static_cast<int64_t>(free_blocks.size()) * block_size_;
    const Shape kv_shape{num_slots, c.kv_heads, c.head_dim};
    k = filled_tensor(kv_shape, std::numeric_limits<float>::quiet_NaN(), c.dtype);
    v = filled_tensor(kv_shape, std::numeric_limits<float>::quiet_NaN(), c.dtype);
    table = filled_tensor({num_seqs, max_blocks}, -1.0f, DType::i32);
    query_start = Tensor({num_seqs + 1}, DType::i32);
    context_len = Tensor({num_seqs}, DType::i32);
    query_start.view().as<int32_t>()[0] = 0;
    const Tensor numbers = random_tensor({num_slots, 2, c.kv_heads * c.head_dim}, c.seed);
    for (int64_t s = 0; s < num_seqs; ++s) {
      const SequenceLengths& lengths = c.sequences[static_cast<size_t>(s)];
      query_start.view().as<int32_t>()[s + 1] = query_start.view().as<int32_t>()[s] + lengths.queries;
      context_len.view().as<int32_t>()[s] = lengths.keys;
      int32_t* const blocks = table.view().as<int32_t>() + s * max_blocks;
      for (int32_t p = 0; p < lengths.keys; ++p) {
        if (p % block_size_ == 0) {
          blocks[p / block_size_] = free_blocks.back();
          free_blocks.pop_back();
        }
        const int64_t row = c.kv_heads * c.head_dim, at = slot(s, p) * row;
        for (int64_t i = 0; i < row; ++i) {
          set(k, at + i, numbers.view().as<float>()[2 * at + i]);
          set(v, at + i, numbers.view().as<float>()[2 * at + row + i]);
        }
      }
    }
    num_tokens_ = query_start.view().as<int32_t>()[num_seqs];
    q = random_tensor({num_tokens_, c.heads, c.head_dim}, c.seed + 1, c.dtype);
  }

  int64_t slot(int64_t sequence, int64_t position) const {
    const int32_t* const blocks = table.view().as<int32_t>() + sequence * table.view().dim(1);
    return int64_t{blocks[position / block_size_]} * block_size_ + position % block_size_;
  }

  // The problem on a device. A CPU step wants q in f32.
  AttentionInput on(Device device, int tile = 0) {
    const Tensor queries = device == Device::cpu ? widened(q) : q;
    there_ = {to_device(queries, device), to_device(k, device),           to_device(v, device),
              to_device(table, device),   to_device(query_start, device), to_device(context_len, device)};
    AttentionInput in{there_[0], {there_[1], there_[2], {}, there_[3], block_size_}, there_[4], there_[5]};
    for (const SequenceLengths& s : c_.sequences) {
      in.max_query_len = std::max(in.max_query_len, s.queries);
      in.max_context_len = std::max(in.max_context_len, s.keys);
    }
    in.causal = c_.causal;
    in.tile = tile;
    return in;
  }

  // What a step says.
  struct Result {
    Tensor out, log_sum_exp;
  };
  Result run(AttentionStep step, Device device, int tile = 0) {
    const AttentionInput in = on(device, tile);
    const Result there{Tensor(q.view().shape, device == Device::cpu ? DType::f32 : c_.dtype, device),
                       Tensor({num_tokens_, c_.heads}, DType::f32, device)};
    Workspace workspace(device);
    step(in, workspace, {there.out, there.log_sum_exp});
    return {to_host(there.out), to_host(there.log_sum_exp)};
  }

  // The gradients of q, k and v.
  std::vector<Tensor> run_backward(AttentionBackward backward, Device device, const Tensor& out,
                                   const Tensor& log_sum_exp, const Tensor& out_gradient) {
    const AttentionInput in = on(device);
    const Tensor dq(q.view().shape, c_.dtype, device), dk(k.view().shape, c_.dtype, device),
        dv(v.view().shape, c_.dtype, device);
    const Tensor out_there = to_device(out, device), log_sum_exp_there = to_device(log_sum_exp, device),
                 gradient_there = to_device(out_gradient, device);
    Workspace workspace(device);
    backward(in, {out_there, log_sum_exp_there}, gradient_there, workspace, {dq, dk, dv});
    return {to_host(dq), to_host(dk), to_host(dv)};
  }

  // In float64.
  AttentionAnswer exact() const {
    return answer<double>([](double x) { return x; });
  }
  // Sums in f32; scores, probabilities and output each rounded to the problem's format, as where each is a tensor of
  // it.
  AttentionAnswer plain() const {
    return answer<float>([this](float x) { return rounded(x); });
  }

  // Twice what the plain one is off by. In a few numbers it may be lucky: never less than twice what rounding the
  // result may cost. On the CPU q and out stay f32, whatever the keys' format.
  double allowed_error(Device device) const {
    const bool in_f32 = device == Device::cpu || c_.dtype == DType::f32;
    double allowed = in_f32 ? 0x1p-22 : c_.dtype == DType::f16 ? 0x1p-11 : 0x1p-8;
    if (in_f32 && c_.dtype != DType::f32) return allowed;
    const AttentionAnswer right = exact(), rounded = plain();
    for (size_t i = 0; i < right.out.size(); ++i) {
      allowed = std::max(allowed, 2 * std::abs(rounded.out[i] - right.out[i]));
    }
    return allowed;
  }

  static Tensor widened(const Tensor& numbers) {
    const Tensor out(numbers.view().shape, DType::f32);
    const std::vector<double> values = to_doubles(numbers);
    std::copy(values.begin(), values.end(), out.view().as<float>());
    return out;
  }

  const AttentionCase& shape() const { return c_; }
  Tensor q, k, v, table, query_start, context_len;

 private:
  float rounded(float x) const {
    if (c_.dtype == DType::f16) return static_cast<float>(static_cast<_Float16>(x));
    return c_.dtype == DType::bf16 ? to_float(to_bf16(x)) : x;
  }

  // Equation 1 of Vaswani et al., summed in numbers of type N.
  template <class N, class Round>
  AttentionAnswer answer(Round round) const {
    const std::vector<double> q_data = to_doubles(q), k_data = to_doubles(k), v_data = to_doubles(v);
    const auto head_dim = static_cast<size_t>(c_.head_dim);
    AttentionAnswer answer;
    int64_t token = 0;
    for (size_t s = 0; s < c_.sequences.size(); ++s) {
      const auto [keys, queries] = c_.sequences[s];
      for (int64_t i = 0; i < queries; ++i, ++token) {
        const int64_t visible = c_.causal ? std::max<int64_t>(keys - queries + i + 1, 0) : keys;
        for (int64_t h = 0; h < c_.heads; ++h) {
          const int64_t kv_head = h / (c_.heads / c_.kv_heads);
          const auto key_at = [&](int64_t p) {
            return static_cast<size_t>((slot(static_cast<int64_t>(s), p) * c_.kv_heads + kv_head) * c_.head_dim);
          };
          const double* const query = q_data.data() + static_cast<size_t>((token * c_.heads + h) * c_.head_dim);
          std::vector<N> scores, out(head_dim, N{0});
          for (int64_t p = 0; p < visible; ++p) {
            N dot = 0;
            for (size_t d = 0; d < head_dim; ++d)
              dot += static_cast<N>(query[d]) * static_cast<N>(k_data[key_at(p) + d]);
            scores.push_back(round(dot / std::sqrt(static_cast<N>(c_.head_dim))));
          }
          const N largest = scores.empty() ? N{0} : *std::ranges::max_element(scores);
          N total = 0;
          for (const N score : scores) total += std::exp(score - largest);
          for (size_t p = 0; p < scores.size(); ++p) {
            const N probability = round(std::exp(scores[p] - largest) / total);
            const double* const value = v_data.data() + key_at(static_cast<int64_t>(p));
            for (size_t d = 0; d < head_dim; ++d) out[d] += probability * static_cast<N>(value[d]);
          }
          for (const N o : out) answer.out.push_back(round(o));
          answer.log_sum_exp.push_back(largest + std::log(total));
        }
      }
    }
    return answer;
  }
  AttentionCase c_;
  int block_size_ = 0;
  int64_t num_tokens_ = 0;
  std::vector<Tensor> there_;
};

inline void expect_same_log_sum_exp(const std::vector<double>& actual, const std::vector<double>& expected,
                                    double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    if (std::isinf(expected[i])) {
      EXPECT_EQ(actual[i], expected[i]) << i;
    } else {
      EXPECT_NEAR(actual[i], expected[i], tolerance * std::max(1.0, std::abs(expected[i]))) << i;
    }
  }
}

}  // namespace llm
