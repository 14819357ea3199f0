// Why batching at all: the time of a decode step over batch sizes, beside its arithmetic intensity.
//
//     bench_batching --benchmark_repetitions=5 --benchmark_out=bench/results/batching.json --benchmark_out_format=json
//
// f32 on the CPU. bench/gpu/measure has the same for a GPU.
#include <fmt/format.h>

#include <map>

#include "bench/chapters/run_benchmarks.h"
#include "bench/decode_batch.h"
#include "common/program/loaded_model.h"
#include "common/program/machine.h"

namespace llm {
namespace {

constexpr int32_t kContext = 128;

const LoadedModel& model_of(const std::string& name) {
  static std::map<std::string, LoadedModel> models;
  LoadedModel& model = models[name];
  if (!model.transformer) model = load_model(name, DType::f32, Device::cpu);
  return model;
}

void step(benchmark::State& state, const std::string& name, int32_t batch_size) {
  const Transformer& model = *model_of(name).transformer;
  DecodeBatch batch(model, model.ops().attend, batch_size, kContext);
  for (auto _ : state) batch.run();
  const StepCost cost = batch.cost();
  const auto iterations = static_cast<double>(state.iterations());
  state.counters["tokens_per_second"] = benchmark::Counter(iterations * batch_size, benchmark::Counter::kIsRate);
  state.counters["bytes_per_second"] = benchmark::Counter(iterations * cost.bytes, benchmark::Counter::kIsRate);
  state.counters["flops_per_second"] = benchmark::Counter(iterations * cost.flops, benchmark::Counter::kIsRate);
  state.counters["intensity"] = cost.intensity();
}

// What the machine could do: the intensity at which bytes and operations take equally long.
void rates(benchmark::State& state, const std::string& name) {
  const MachineRates rates = measure_rates(*model_of(name).transformer);
  for (auto _ : state) benchmark::ClobberMemory();
  state.counters["bytes_per_second"] = rates.bytes_per_second;
  state.counters["flops_per_second"] = rates.flops_per_second;
  state.counters["intensity"] = rates.flops_per_second / rates.bytes_per_second;
}

void register_all() {
  for (const std::string name : {"", "random:llama2c-15m", "random:llama2c-110m"}) {
    const std::string shape = name.empty() ? "stories" : name.substr(name.find(':') + 1);
    for (const int32_t batch_size : {1, 2, 4, 8, 16, 32, 64}) {
      benchmark::RegisterBenchmark(fmt::format("step/{}/{}", shape, batch_size).c_str(),
                                   [=](benchmark::State& state) { step(state, name, batch_size); })
          ->UseRealTime()
          ->Unit(benchmark::kMillisecond);
    }
    benchmark::RegisterBenchmark(("rates/" + shape).c_str(), [=](benchmark::State& state) {
      rates(state, name);
    })->Iterations(1);
  }
}

}  // namespace
}  // namespace llm

int main(int argc, char** argv) { return llm::run_benchmarks(argc, argv, llm::register_all); }
