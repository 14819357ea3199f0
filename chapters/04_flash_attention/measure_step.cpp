#include "chapters/04_flash_attention/measure_step.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include "common/program/format.h"
#include "common/tensor/device_memory.h"
#if defined(LLM_HAVE_SIMT)
#include "common/simt/traffic.h"
#endif

namespace llm {

namespace {

// Numbers between −1 and 1, rounded to `dtype`. After a million they repeat, since drawing the keys of a long context
// takes longer than reading them; no row's length divides the period.
Tensor random_numbers(Shape shape, DType dtype, uint64_t seed) {
  constexpr int64_t kPeriod = 1'048'573;  // a prime
  const Tensor tensor(shape, dtype);
  std::mt19937_64 random(seed);
  const auto fill = [&](auto* numbers, auto rounded) {
    const int64_t drawn = std::min(shape.numel(), kPeriod);
    std::generate_n(numbers, drawn, [&] { return rounded(static_cast<float>(random() >> 40) * 0x1p-23f - 1.0f); });
    for (int64_t i = drawn; i < shape.numel(); i += drawn) {
      std::copy_n(numbers, std::min(drawn, shape.numel() - i), numbers + i);
    }
  };
  if (dtype == DType::bf16) {
    fill(tensor.view().as<bf16>(), to_bf16);
  } else {
    fill(tensor.view().as<float>(), [](float value) { return value; });
  }
  return tensor;
}

Tensor integers(Shape shape, const std::vector<int32_t>& values) {
  const Tensor tensor(shape, DType::i32);
  std::ranges::copy(values, tensor.view().as<int32_t>());
  return tensor;
}

std::vector<double> numbers_of(const Tensor& tensor) {
  const Tensor here = to_host(tensor);
  std::vector<double> numbers(static_cast<size_t>(here.view().numel()));
  for (size_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = here.view().dtype == DType::bf16 ? to_float(here.view().as<bf16>()[i]) : here.view().as<float>()[i];
  }
  return numbers;
}

}  // namespace

double StepShape::flops() const {
  const double first_seen = static_cast<double>(causal ? n - queries() + 1 : n), last_seen = static_cast<double>(n);
  const double pairs = (first_seen + last_seen) / 2 * static_cast<double>(queries());
  return 4.0 * static_cast<double>(head_dim * heads * num_seqs) * pairs;
}

double StepShape::kv_bytes() const {
  return 2.0 * static_cast<double>(num_seqs * n * kv_heads * head_dim) * static_cast<double>(size_of(dtype));
}

StepProblem::StepProblem(const StepShape& s, Device device) : shape(s), workspace(device) {
  const auto block = static_cast<int64_t>(s.block_size > 0 ? s.block_size : s.n), blocks = (s.n + block - 1) / block;
  std::vector<int32_t> starts, lengths(static_cast<size_t>(s.num_seqs), static_cast<int32_t>(s.n));
  for (int64_t i = 0; i <= s.num_seqs; ++i) starts.push_back(static_cast<int32_t>(i * s.queries()));
  std::vector<int32_t> table(static_cast<size_t>(s.num_seqs * blocks));
  std::iota(table.begin(), table.end(), 0);
  std::shuffle(table.begin(), table.end(), std::mt19937(1));
  const Shape q_shape{s.num_seqs * s.queries(), s.heads, s.head_dim};
  const Shape kv_shape{s.num_seqs * blocks * block, s.kv_heads, s.head_dim};
  const DType q_dtype = device == Device::cpu ? DType::f32 : s.dtype;
  q = to_device(random_numbers(q_shape, q_dtype, 1), device);
  k = to_device(random_numbers(kv_shape, s.dtype, 2), device);
  v = to_device(random_numbers(kv_shape, s.dtype, 3), device);
  block_table = to_device(integers({s.num_seqs, blocks}, table), device);
  query_start = to_device(integers({s.num_seqs + 1}, starts), device);
  context_len = to_device(integers({s.num_seqs}, lengths), device);
  out = Tensor(q_shape, q_dtype, device);
  log_sum_exp = Tensor({q_shape[0], s.heads}, DType::f32, device);
  in = {q, {k, v, {}, block_table, static_cast<int>(block)}, query_start, context_len};
  in.max_query_len = static_cast<int>(s.queries());
  in.max_context_len = static_cast<int>(s.n);
  in.causal = s.causal;
  in.tile = s.tile;
}

// Without optimization g++ leaves loads that nvcc drops, and tells of no object that a call takes by value.
std::optional<MemoryTraffic> count_traffic([[maybe_unused]] AttentionStep step,
                                           [[maybe_unused]] const StepShape& shape) {
#if defined(LLM_HAVE_SIMT) && !defined(__SANITIZE_ADDRESS__) && !defined(LLM_UNOPTIMIZED)
  StepProblem problem(shape, Device::simt);
  simt::reset_counts();
  simt::count_traffic(true);
  problem.run(step);
  simt::count_traffic(false);
  MemoryTraffic traffic;
  for (const auto& [name, kernel] : simt::counts()) {
    traffic.bytes_read += static_cast<int64_t>(kernel.loads.sectors * simt::kSectorBytes);
    traffic.bytes_written += static_cast<int64_t>(kernel.stores.sectors * simt::kSectorBytes);
  }
  simt::reset_counts();
  return traffic;
#else
  return std::nullopt;
#endif
}

double max_error(AttentionStep step, Device device, const StepShape& s) {
  StepProblem problem(s, device);
  problem.run(step);
  const std::vector<double> q = numbers_of(problem.q), k = numbers_of(problem.k), v = numbers_of(problem.v);
  const std::vector<double> out = numbers_of(problem.out);
  const Tensor table = to_host(problem.block_table);
  const int64_t block = problem.in.kv.block_size, blocks = table.view().dim(1);
  double worst = 0.0;
  std::vector<double> weights(static_cast<size_t>(s.n)), sums(static_cast<size_t>(s.head_dim));
  for (int64_t row = 0; row < s.num_seqs * s.queries() * s.heads; ++row) {
    const int64_t token = row / s.heads, sequence = token / s.queries();
    const int64_t kv_head = row % s.heads / (s.heads / s.kv_heads);
    const int64_t seen = s.causal ? s.n - s.queries() + token % s.queries() + 1 : s.n;
    const auto key_at = [&](int64_t key) {
      const int64_t slot = table.view().as<int32_t>()[sequence * blocks + key / block] * block + key % block;
      return (slot * s.kv_heads + kv_head) * s.head_dim;
    };
    double total = 0.0;
    std::ranges::fill(sums, 0.0);
    for (int64_t key = 0; key < seen; ++key) {
      const double* const query = q.data() + row * s.head_dim;
      const double dot = std::inner_product(query, query + s.head_dim, k.data() + key_at(key), 0.0);
      const double weight = std::exp(dot / std::sqrt(static_cast<double>(s.head_dim)));
      total += weight;
      for (int64_t d = 0; d < s.head_dim; ++d)
        sums[static_cast<size_t>(d)] += weight * v[static_cast<size_t>(key_at(key) + d)];
    }
    for (int64_t d = 0; d < s.head_dim; ++d) {
      const double error =
          std::abs(out[static_cast<size_t>(row * s.head_dim + d)] - sums[static_cast<size_t>(d)] / total);
      worst = error <= worst ? worst : error;  // a NaN stays
    }
  }
  return worst;
}

double time_step(AttentionStep step, Device device, const StepShape& shape) {
  using Clock = std::chrono::steady_clock;
  StepProblem problem(shape, device);
  problem.run(step);
  synchronize(device);
  const auto seconds_of = [&](int runs) {
    const auto begin = Clock::now();
    for (int i = 0; i < runs; ++i) problem.run(step);
    synchronize(device);
    return std::chrono::duration<double>(Clock::now() - begin).count() / runs;
  };
  // Runs of at least 10 ms, so that what starting and waiting cost is lost among them.
  const int runs = static_cast<int>(std::clamp(0.01 / seconds_of(1), 1.0, 1000.0));
  std::vector<double> seconds;
  for (int i = 0; i < 5; ++i) seconds.push_back(seconds_of(runs));
  return median(seconds);
}

}  // namespace llm
