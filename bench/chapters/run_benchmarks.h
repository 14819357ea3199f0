// What the main functions of the chapters' benchmarks share.
#pragma once

#include <benchmark/benchmark.h>
#include <omp.h>

#include "common/program/program.h"

namespace llm {

// On all cores.
inline int run_benchmarks(int argc, char** argv, void (*register_all)()) {
  omp_set_num_threads(omp_get_num_procs());
  return run_program([&] {
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    register_all();
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
  });
}

}  // namespace llm
