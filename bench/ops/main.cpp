// Times every CPU operator: ./bench_ops --benchmark_filter=matmul/f32
#include "bench/ops/bench_ops.h"

int main(int argc, char** argv) {
  llm::register_matmul();
  llm::register_attention();
  llm::register_rowwise();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
}
