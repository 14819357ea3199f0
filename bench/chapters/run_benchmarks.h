// What the main functions of the chapters' benchmarks share.
#pragma once

#include <benchmark/benchmark.h>
#include <omp.h>

#include <functional>

#include "common/program/program.h"

namespace llm {

// On all cores. `take_flags`, where there are any of the program's own, removes them from the arguments.
inline int run_benchmarks(int argc, char** argv, const std::function<void()>& register_all,
                          const std::function<void(int& argc, char** argv)>& take_flags = {}) {
  omp_set_num_threads(omp_get_num_procs());
  return run_program([&] {
    benchmark::Initialize(&argc, argv);
    if (take_flags) take_flags(argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    register_all();
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
  });
}

}  // namespace llm
