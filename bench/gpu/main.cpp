// bench_gpu --part PART: one part of what bench/gpu/measure gathers.
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
  std::string part, model, device = "cuda", dtype = "bf16";
  line.add("--part", &part, {"memory", "matrix", "matvec", "operators", "flash", "model", "batching", "requests"},
           "what to time");
  line.add("--model", &model, "for the last three parts: a Hugging Face folder, or random:NAME; else the embedded one");
  line.add("--dtype", &dtype, {"f32", "bf16"}, "their number format");
  line.add("--requests", &requests, "the part requests': a file of them");
  line.add("--device", &device, {"cuda", "simt"}, "the GPU, or the simulator, whose times mean nothing");
  line.add("--quick", &bench.quick, "tiny shapes, timed twice: only whether everything runs");
  line.add("--json", &bench.json, "write the results to this file");
  line.parse(argc, argv);
  if (part.empty())
    fail_input("--part is missing; give one of memory, matrix, matvec, operators, flash, model, batching, requests");
  check_output("--json", bench.json);
  bench.device = device == "cuda" ? Device::cuda : Device::simt;
  require_device(bench.device);
  if (part == "memory") bench_memory(bench);
  if (part == "matrix") bench_matrix(bench);
  if (part == "matvec") bench_matvec(bench);
  if (part == "operators") bench_operators(bench);
  if (part == "flash") bench_flash(bench);
  const DType format = dtype == "f32" ? DType::f32 : DType::bf16;
  if (part == "model") bench_model(bench, model, format);
  if (part == "batching") bench_batching(bench, model, format);
  if (part == "requests") bench_requests(bench, model, format, requests);
  return 0;
}

}  // namespace
}  // namespace llm

int main(int argc, char** argv) {
  return llm::run_program([&] { return llm::run(argc, argv); });
}
