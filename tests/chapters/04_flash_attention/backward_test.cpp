// The gradients against the standard backward pass in float64, and that against finite differences.
#include "tests/chapters/04_flash_attention/attention_problem.h"
#include "tests/support/gpu_device.h"

namespace llm {
namespace {

// Dense attention of one sequence with all matrices in memory, in numbers of type N.
struct DenseAttention {
  int64_t queries, keys, heads, kv_heads, head_dim;
  bool causal;
  std::vector<double> q, k, v;  // [queries, heads, head_dim], [keys, kv_heads, head_dim]

  size_t q_at(int64_t i, int64_t h) const { return static_cast<size_t>((i * heads + h) * head_dim); }
  size_t k_at(int64_t j, int64_t h) const {
    return static_cast<size_t>((j * kv_heads + h / (heads / kv_heads)) * head_dim);
  }
  double scale() const { return 1.0 / std::sqrt(static_cast<double>(head_dim)); }

  std::vector<double> probabilities(int64_t i, int64_t h) const {
    const int64_t seen = causal ? std::max<int64_t>(keys - queries + i + 1, 0) : keys;
    std::vector<double> P(static_cast<size_t>(keys), 0.0);
    double total = 0.0;
    for (int64_t j = 0; j < seen; ++j) {
      double dot = 0.0;
      for (size_t d = 0; d < static_cast<size_t>(head_dim); ++d) dot += q[q_at(i, h) + d] * k[k_at(j, h) + d];
      P[static_cast<size_t>(j)] = std::exp(dot * scale());
      total += P[static_cast<size_t>(j)];
    }
    for (double& p : P) p = total > 0.0 ? p / total : 0.0;
    return P;
  }

  // Σ out · g: what the gradients are of.
  double loss(const std::vector<double>& g) const {
    double loss = 0.0;
    for (int64_t i = 0; i < queries; ++i) {
      for (int64_t h = 0; h < heads; ++h) {
        const std::vector<double> P = probabilities(i, h);
        for (int64_t j = 0; j < keys; ++j) {
          for (size_t d = 0; d < static_cast<size_t>(head_dim); ++d) {
            loss += P[static_cast<size_t>(j)] * v[k_at(j, h) + d] * g[q_at(i, h) + d];
          }
        }
      }
    }
    return loss;
  }

  struct Gradients {
    std::vector<double> q, k, v;
  };
  // dV = Pᵀ · dO, dP = dO · Vᵀ, dS = P ∘ (dP − Σ P ∘ dP), dQ = dS · K, dK = dSᵀ · Q.
  Gradients backward(const std::vector<double>& g) const {
    Gradients out{std::vector<double>(q.size()), std::vector<double>(k.size()), std::vector<double>(v.size())};
    const auto dims = static_cast<size_t>(head_dim);
    for (int64_t i = 0; i < queries; ++i) {
      for (int64_t h = 0; h < heads; ++h) {
        const std::vector<double> P = probabilities(i, h);
        std::vector<double> dP(P.size(), 0.0);
        double mean = 0.0;
        for (int64_t j = 0; j < keys; ++j) {
          for (size_t d = 0; d < dims; ++d) {
            dP[static_cast<size_t>(j)] += g[q_at(i, h) + d] * v[k_at(j, h) + d];
            out.v[k_at(j, h) + d] += P[static_cast<size_t>(j)] * g[q_at(i, h) + d];
          }
          mean += P[static_cast<size_t>(j)] * dP[static_cast<size_t>(j)];
        }
        for (int64_t j = 0; j < keys; ++j) {
          const double dS = P[static_cast<size_t>(j)] * (dP[static_cast<size_t>(j)] - mean) * scale();
          for (size_t d = 0; d < dims; ++d) {
            out.q[q_at(i, h) + d] += dS * k[k_at(j, h) + d];
            out.k[k_at(j, h) + d] += dS * q[q_at(i, h) + d];
          }
        }
      }
    }
    return out;
  }
};

// The one sequence of a problem whose keys stand in one block.
DenseAttention dense(const AttentionProblem& problem) {
  const AttentionCase& c = problem.shape();
  const auto [keys, queries] = c.sequences[0];
  const auto of_sequence = [&](const Tensor& tensor) {
    const int64_t first = keys > 0 ? problem.slot(0, 0) : 0;
    return to_doubles(tensor.view().rows(first, first + keys));
  };
  return {queries,
          keys,
          c.heads,
          c.kv_heads,
          c.head_dim,
          c.causal,
          to_doubles(problem.q),
          of_sequence(problem.k),
          of_sequence(problem.v)};
}

TEST(StandardBackward, AgreesWithFiniteDifferences) {
  for (const bool causal : {true, false}) {
    for (const SequenceLengths lengths : {SequenceLengths{5, 5}, {2, 4}, {6, 3}}) {
      const AttentionProblem problem(
          {.heads = 4, .kv_heads = 2, .head_dim = 3, .causal = causal, .sequences = {lengths}});
      DenseAttention attention = dense(problem);
      const std::vector<double> g = to_doubles(random_tensor(problem.q.view().shape, 7));
      const DenseAttention::Gradients gradients = attention.backward(g);
      const auto difference = [&](std::vector<double>& numbers) {
        std::vector<double> slopes;
        for (double& number : numbers) {
          constexpr double kStep = 1e-5;
          const double before = number;
          number = before + kStep;
          const double above = attention.loss(g);
          number = before - kStep;
          slopes.push_back((above - attention.loss(g)) / (2 * kStep));
          number = before;
        }
        return slopes;
      };
      expect_close(gradients.q, difference(attention.q), 1e-9);
      expect_close(gradients.k, difference(attention.k), 1e-9);
      expect_close(gradients.v, difference(attention.v), 1e-9);
    }
  }
}

class Backward : public testing::TestWithParam<std::tuple<Device, DType>> {
 protected:
  void SetUp() override { LLM_SKIP_WITHOUT(device); }

  void expect_right(AttentionCase c) {
    c.dtype = dtype;
    SCOPED_TRACE(describe(c));
    AttentionProblem problem(c);
    const AttentionSteps& steps = attention_steps(device);
    const auto [out, log_sum_exp] = problem.run(steps.flash_2, device);
    const Tensor g = random_tensor(problem.q.view().shape, 7, dtype);
    const DenseAttention attention = dense(problem);
    const DenseAttention::Gradients expected = attention.backward(to_doubles(g));
    const std::vector<Tensor> actual = problem.run_backward(steps.backward, device, out, log_sum_exp, g);
    const int32_t keys = c.sequences[0].keys;
    const int64_t first = keys > 0 ? problem.slot(0, 0) : 0;
    // Of what is rounded on the way, O and the result weigh most: two roundings of the format.
    const double tolerance = dtype == DType::f32 ? 2e-6 : dtype == DType::f16 ? 0x1p-10 : 0x1p-7;
    expect_close(to_doubles(actual[0]), expected.q, tolerance);
    expect_close(to_doubles(actual[1].view().rows(first, first + keys)), expected.k, tolerance);
    expect_close(to_doubles(actual[2].view().rows(first, first + keys)), expected.v, tolerance);
  }

  Device device = std::get<0>(GetParam());
  DType dtype = std::get<1>(GetParam());
};

TEST_P(Backward, AllShapes) {
  for (const bool causal : {true, false}) {
    for (const int64_t head_dim : {6, 32, 33, 64, 128}) {
      expect_right({.heads = 2, .kv_heads = 2, .head_dim = head_dim, .causal = causal, .sequences = {{33, 33}}});
    }
    for (const SequenceLengths lengths :
         {SequenceLengths{1, 1}, {31, 31}, {65, 65}, {67, 5}, {5, 40}, {0, 3}, {3, 0}}) {
      expect_right({.heads = 4, .kv_heads = 2, .head_dim = 32, .causal = causal, .sequences = {lengths}});
    }
  }
}

TEST_P(Backward, RaggedBatchesInBlocks) {
  const std::vector<SequenceLengths> ragged = {{33, 33}, {7, 7}, {40, 3}};
  AttentionProblem together(
      {.heads = 2, .kv_heads = 1, .head_dim = 32, .block_size = 8, .sequences = ragged, .dtype = dtype});
  const AttentionSteps& steps = attention_steps(device);
  const auto [out, log_sum_exp] = together.run(steps.flash_2, device);
  const Tensor g = random_tensor(together.q.view().shape, 7, dtype);
  const std::vector<Tensor> gradients = together.run_backward(steps.backward, device, out, log_sum_exp, g);
  int64_t token = 0;
  for (size_t s = 0; s < ragged.size(); ++s) {  // each as if it were alone
    const auto [keys, queries] = ragged[s];
    DenseAttention attention{queries, keys, 2, 1, 32, true, {}, {}, {}};
    attention.q = to_doubles(together.q.view().rows(token, token + queries));
    const auto gather = [&](const Tensor& tensor) {
      std::vector<double> rows;
      for (int64_t p = 0; p < keys; ++p) {
        const int64_t slot = together.slot(static_cast<int64_t>(s), p);
        const std::vector<double> row = to_doubles(tensor.view().rows(slot, slot + 1));
        rows.insert(rows.end(), row.begin(), row.end());
      }
      return rows;
    };
    attention.k = gather(together.k);
    attention.v = gather(together.v);
    const auto expected = attention.backward(to_doubles(g.view().rows(token, token + queries)));
    const double tolerance = dtype == DType::f32 ? 2e-6 : dtype == DType::f16 ? 0x1p-10 : 0x1p-7;
    expect_close(to_doubles(gradients[0].view().rows(token, token + queries)), expected.q, tolerance);
    expect_close(gather(gradients[1]), expected.k, tolerance);
    expect_close(gather(gradients[2]), expected.v, tolerance);
    token += queries;
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, Backward,
                         testing::Combine(testing::Values(Device::simt, Device::cuda),
                                          testing::Values(DType::f32, DType::bf16, DType::f16)),
                         [](const auto& test) {
                           return std::string(name_of(std::get<0>(test.param))) + "_" +
                                  name_of(std::get<1>(test.param));
                         });

}  // namespace
}  // namespace llm
