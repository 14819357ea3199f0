#include "bench/gpu/bench_gpu.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "common/program/format.h"
#include "common/program/loaded_model.h"
#include "common/tensor/device_memory.h"

namespace llm {

void GpuBench::add(const std::string& list, const Json& row) {
  fmt::print("{}: {}\n", list, row.dump(-1));
  std::fflush(stdout);
  if (!results.has(list)) results.set(list, Json::array());
  results.at(list).push(row);
  if (!json.empty()) write_file(json, results.dump() + "\n");
}

int64_t count_copies(const GpuBench& bench, int64_t bytes) {
  return bench.quick ? 2 : std::max<int64_t>(1, (kRotatedBytes + bytes - 1) / bytes);
}

namespace {

double seconds_of(Device device, const std::function<void()>& run) {
  const auto begin = std::chrono::steady_clock::now();
  run();
  synchronize(device);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

Json time_us(const GpuBench& bench, int64_t copies, const std::function<void(int64_t)>& work) {
  constexpr double kGraphSeconds = 5e-3, kMostSeconds = 1.0;  // a graph, all of them
  constexpr int64_t kMostCalls = 2000;
  const auto record = [&](int64_t calls) {
    return record_graph(bench.device, [&] {
      for (int64_t i = 0; i < calls; ++i) work(i);
    });
  };
  work(0);  // what is loaded or allocated at the first call
  synchronize(bench.device);
  int64_t calls = copies, repetitions = 2;
  if (!bench.quick) {
    const int64_t trial = std::max<int64_t>(copies, 8);
    const std::function<void()> replay = record(trial);
    seconds_of(bench.device, replay);
    const double seconds = seconds_of(bench.device, replay) / static_cast<double>(trial);
    calls = std::clamp(static_cast<int64_t>(kGraphSeconds / seconds), copies, std::max(copies, kMostCalls));
    repetitions = std::clamp<int64_t>(static_cast<int64_t>(kMostSeconds / seconds) / calls, 3, 21);
  }
  const std::function<void()> replay = record(calls);
  seconds_of(bench.device, replay);
  std::vector<double> us;
  for (int64_t r = 0; r < repetitions; ++r) {
    us.push_back(1e6 * seconds_of(bench.device, replay) / static_cast<double>(calls));
  }
  return summary(us).set("calls", calls);
}

Json time_unrecorded_us(const GpuBench& bench, const std::function<void()>& work) {
  const int repetitions = bench.quick ? 2 : 21, calls = bench.quick ? 1 : 8;
  const std::function<void()> all = [&] {
    for (int i = 0; i < calls; ++i) work();
  };
  seconds_of(bench.device, all);
  std::vector<double> us;
  for (int r = 0; r < repetitions; ++r) us.push_back(1e6 * seconds_of(bench.device, all) / calls);
  return summary(us).set("calls", int64_t{calls});
}

void require_close(const std::string& what, TensorView actual, TensorView expected, double tolerance) {
  const Tensor actual_here = to_host(actual), expected_here = to_host(expected);
  const auto value = [](TensorView tensor, int64_t i) -> double {
    if (tensor.dtype == DType::i32) return tensor.as<int32_t>()[i];
    return tensor.dtype == DType::bf16 ? to_float(tensor.as<bf16>()[i]) : tensor.as<float>()[i];
  };
  require(actual.numel() == expected.numel(), "{}: {} numbers where {} are right", what, actual.numel(),
          expected.numel());
  for (int64_t i = 0; i < expected.numel(); ++i) {
    const double a = value(actual_here, i), e = value(expected_here, i);
    require(std::abs(a - e) <= tolerance * std::max(1.0, std::abs(e)), "{}: number {} is {}, but {} is right", what, i,
            a, e);
  }
}

Json check_and_time(const GpuBench& bench, const std::string& name, double tolerance,
                    const std::function<PreparedOperator(Device)>& prepare) {
  const PreparedOperator there = prepare(bench.device), here = prepare(Device::cpu);
  there.run();
  here.run();
  require_close(name, there.out, here.out, tolerance);
  return time_us(bench, 1, [&](int64_t) { there.run(); });
}

Json row_of(const LoadedModel& loaded) {
  Json row = Json::object();
  return row.set("model", loaded.name).set("dtype", name_of(loaded.transformer->dtype()));
}

}  // namespace llm
