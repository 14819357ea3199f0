#include "common/program/machine.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "common/tensor/device_memory.h"

namespace llm {

namespace {

// The best of three runs, or of as many as fit in a tenth of a second. Work on a GPU is started many times before it is
// waited for, so that the waiting does not count.
template <class Run>
double best_seconds(Device device, Run run) {
  using Clock = std::chrono::steady_clock;
  const int runs = device == Device::cpu ? 1 : 16;
  run();  // the first run of a kernel also loads it
  synchronize(device);
  const auto start = Clock::now();
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < 3 || Clock::now() - start < std::chrono::milliseconds(100); ++i) {
    const auto begin = Clock::now();
    for (int r = 0; r < runs; ++r) run();
    synchronize(device);
    best = std::min(best, std::chrono::duration<double>(Clock::now() - begin).count() / runs);
  }
  return best;
}

// Numbers around 1, each thread's part written by the thread that will read it.
Tensor make_numbers(Shape shape, DType dtype, Device device) {
  const Tensor tensor(shape, dtype);
  const TensorView view = tensor;
  const int64_t count = shape.numel();
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < count; ++i) {
    const float number = 1.0f + 0x1p-10f * static_cast<float>(i * 37 % 1021 - 510);
    if (dtype == DType::bf16) {
      static_cast<bf16*>(view.data)[i] = to_bf16(number);
    } else {
      static_cast<float*>(view.data)[i] = number;
    }
  }
  return to_device(tensor, device);
}

Shape rows_for(size_t bytes) {
  constexpr size_t kWidth = 8192;
  return {static_cast<int64_t>((bytes + kWidth * sizeof(float) - 1) / (kWidth * sizeof(float))), kWidth};
}

}  // namespace

ReadPass::ReadPass(size_t bytes, Device device)
    : ops_(ops_for(device)),
      numbers_(make_numbers(rows_for(bytes), DType::f32, device)),
      sums_({rows_for(bytes)[0]}, DType::f32, device) {}

void ReadPass::run() const { ops_.sum_rows(numbers_, sums_); }

double measure_read_bandwidth(size_t bytes, Device device) {
  const ReadPass pass(bytes, device);
  return static_cast<double>(pass.numbers().nbytes()) / best_seconds(device, [&] { pass.run(); });
}

double measure_matmul_rate(int64_t rows, const Matrix& weight, Device device) {
  const Ops& ops = ops_for(device);
  const DType x_dtype = device == Device::cpu ? DType::f32 : weight.data.view().dtype;
  const Tensor x = make_numbers({rows, weight.in_features}, x_dtype, device);
  const Tensor out({rows, weight.out_features}, DType::f32, device);
  const double seconds = best_seconds(device, [&] { ops.matmul(x, weight, {}, out); });
  return 2.0 * static_cast<double>(rows) * static_cast<double>(weight.in_features) *
         static_cast<double>(weight.out_features) / seconds;
}

}  // namespace llm
