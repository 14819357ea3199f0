// reverse [MISTAKE]: runs the kernel of docs/devices.md on the numbers 0 to 127, prints what became of them, and what
// the kernel did.
#include <fmt/format.h>

#include <array>
#include <limits>
#include <numeric>

#include "common/error.h"
#include "common/program/kernel_counts.h"
#include "common/program/program.h"
#include "tests/common/simt/example/reverse_kernel.cuh"

namespace llm::simt {
namespace {

template <Mistake mistake>
int run() {
  std::array<float, 128> numbers;
  std::iota(numbers.begin(), numbers.end(), 0.0f);
  float* on_device = nullptr;
  CUDA_CHECK(cudaMalloc(&on_device, sizeof(numbers)));
  CUDA_CHECK(cudaMemcpy(on_device, numbers.data(), sizeof(numbers), cudaMemcpyHostToDevice));
  start_kernel_counts(Device::simt);
  launch<reverse_kernel<mistake>>({2, 64, sizeof(ReverseStorage)}, on_device);
  stop_kernel_counts();
  CUDA_CHECK(cudaMemcpy(numbers.data(), on_device, sizeof(numbers), cudaMemcpyDeviceToHost));
  CUDA_CHECK(cudaFree(on_device));

  for (size_t i = 0; i < numbers.size(); i += 16) {
    fmt::print("{:>4}\n", fmt::join(numbers.begin() + i, numbers.begin() + i + 16, " "));
  }
  fmt::print("\n{}", draw_kernel_counts(std::numeric_limits<double>::quiet_NaN()));
  return 0;
}

int run(const std::string& mistake) {
  if (mistake == "none") return run<Mistake::none>();
  if (mistake == "no_barrier") return run<Mistake::no_barrier>();
  if (mistake == "barrier_in_branch") return run<Mistake::barrier_in_branch>();
  if (mistake == "beyond_end") return run<Mistake::beyond_end>();
  fail_input("the mistake is \"{}\", but must be none, no_barrier, barrier_in_branch or beyond_end", mistake);
}

}  // namespace
}  // namespace llm::simt

int main(int argc, char** argv) {
  return llm::run_program([&] { return llm::simt::run(argc > 1 ? argv[1] : "none"); });
}
