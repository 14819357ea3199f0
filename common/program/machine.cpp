#include "common/program/machine.h"

#include <omp.h>

#include <algorithm>
#include <chrono>
#include <limits>

#include "common/ops/matmul.h"
#include "common/ops/vec.h"

namespace llm {

namespace {

// The best of three runs, or of as many as fit in a tenth of a second.
template <class Run>
double best_seconds(Run run) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < 3 || Clock::now() - start < std::chrono::milliseconds(100); ++i) {
    const auto begin = Clock::now();
    run();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - begin).count());
  }
  return best;
}

// Numbers around 1, each thread's part written by the thread that will read it.
Tensor make_numbers(Shape shape) {
  Tensor tensor(shape, DType::f32);
  float* const numbers = tensor.view().as<float>();
  const int64_t count = shape.numel();
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < count; ++i) numbers[i] = 1.0f + 0x1p-10f * static_cast<float>(i * 37 % 1021 - 510);
  return tensor;
}

}  // namespace

ReadPass::ReadPass(size_t bytes) : numbers_(make_numbers({static_cast<int64_t>(bytes / sizeof(float))})) {}

float ReadPass::run() const {
  constexpr int kChains = 8;  // enough additions under way at once to wait for memory alone
  constexpr int64_t kStep = kChains * kLanes;
  const float* const numbers = numbers_.view().as<float>();
  const int64_t count = numbers_.view().numel(), steps = count / kStep;
  float total = 0.0f;
#pragma omp parallel reduction(+ : total)
  {
    const int64_t threads = omp_get_num_threads(), thread = omp_get_thread_num();
    Vec sums[kChains] = {};
    for (int64_t s = steps * thread / threads; s < steps * (thread + 1) / threads; ++s) {
      for (int c = 0; c < kChains; ++c) sums[c] += load(numbers + s * kStep + c * kLanes);
    }
    for (const Vec& chain : sums) total += sum(chain);
  }
  for (int64_t i = steps * kStep; i < count; ++i) total += numbers[i];
  return total;
}

double measure_read_bandwidth(size_t bytes) {
  const ReadPass pass(bytes);
  volatile float used = 0.0f;
  const double seconds = best_seconds([&] { used = used + pass.run(); });
  return static_cast<double>(pass.nbytes()) / seconds;
}

double measure_matmul_rate(int64_t rows, int64_t in_features, int64_t out_features) {
  const Tensor x = make_numbers({rows, in_features}), out({rows, out_features}, DType::f32);
  const Tensor numbers = make_numbers({out_features, in_features});
  const TensorView part = numbers;
  const Matrix weight = cpu::make_matrix({&part, 1}, DType::f32);
  const double seconds = best_seconds([&] { cpu::matmul(x, weight, {}, out); });
  return 2.0 * static_cast<double>(rows) * static_cast<double>(in_features) * static_cast<double>(out_features) /
         seconds;
}

}  // namespace llm
