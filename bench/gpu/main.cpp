// bench_gpu --part PART: one part of what bench/gpu/measure gathers.
#include <fmt/format.h>

#include <algorithm>

#include "bench/gpu/bench_gpu.h"
#include "common/program/command_line.h"
#include "common/program/options.h"
#include "common/program/program.h"
#include "common/tensor/device_memory.h"

namespace llm {
namespace {

int run(int argc, const char* const* argv) {
  CommandLine line("bench_gpu", "Times the kernels and the models on a GPU. bench/gpu/measure runs all parts.");
  GpuBench bench;
  std::filesystem::path requests;
  std::string part, model, draft_model, device = "cuda", dtype = "bf16";
  const auto format = [&] { return dtype == "f32" ? DType::f32 : DType::bf16; };
  const std::vector<std::pair<std::string, std::function<void()>>> parts = {
      {"memory", [&] { bench_memory(bench); }},
      {"matrix", [&] { bench_matrix(bench); }},
      {"matvec", [&] { bench_matvec(bench); }},
      {"few_rows", [&] { bench_few_rows(bench); }},
      {"operators", [&] { bench_operators(bench); }},
      {"flash", [&] { bench_flash(bench); }},
      {"dram", [&] { bench_dram(bench); }},
      {"grouped", [&] { bench_grouped(bench); }},
      {"model", [&] { bench_model(bench, model, format()); }},
      {"speculation", [&] { bench_speculation(bench, model, draft_model, format()); }},
      {"batch_sizes", [&] { bench_batch_sizes(bench, model, format()); }},
      {"batching", [&] { bench_batching(bench, model, format()); }},
      {"requests", [&] { bench_requests(bench, model, format(), requests); }},
  };
  std::vector<std::string> names;
  for (const auto& [name, run_part] : parts) names.push_back(name);

  line.add("--part", &part, names, "what to time");
  line.add("--model", &model, "for the last five parts: a Hugging Face folder, or random:NAME; else the embedded one");
  line.add("--dtype", &dtype, {"f32", "bf16"}, "their number format");
  line.add("--draft-model", &draft_model, "the part speculation's second model");
  line.add("--requests", &requests, "the part requests': a file of them");
  line.add("--device", &device, {"cuda", "simt"}, "the GPU, or the simulator, whose times mean nothing");
  line.add("--quick", &bench.quick, "tiny shapes, timed twice: only whether everything runs");
  line.add("--json", &bench.json, "write the results to this file");
  line.parse(argc, argv);
  if (part.empty()) fail_input("--part is missing; give one of {}", fmt::join(names, ", "));
  check_output("--json", bench.json);
  bench.device = device == "cuda" ? Device::cuda : Device::simt;
  require_device(bench.device);
  std::ranges::find(parts, part, [](const auto& named) { return named.first; })->second();
  return 0;
}

}  // namespace
}  // namespace llm

int main(int argc, char** argv) {
  return llm::run_program([&] { return llm::run(argc, argv); });
}
