// What the operators' benchmarks share: the models whose shapes they use, and how they are registered.
#pragma once

#include <benchmark/benchmark.h>

#include <string>

#include "bench/bench_tensor.h"

namespace llm {

struct BenchModel {
  const char* name;
  int64_t hidden, heads, kv_heads, head_dim, intermediate, vocab;
  int copies;  // layers: as many weights are taken in turn, so that a cache holds no more of them than in the model

  int64_t qkv() const { return (heads + 2 * kv_heads) * head_dim; }
};

// The first one's weights fit in many a processor's last cache, the second one's do not.
inline constexpr BenchModel kBenchModels[] = {
    {"stories", 256, 8, 8, 32, 688, 2048, 5},
    {"llama2c-110m", 768, 12, 12, 64, 2048, 32000, 12},
};

template <class Run>
void register_bench(const std::string& name, Run run) {
  benchmark::RegisterBenchmark(name.c_str(), run)->UseRealTime();
}

void register_matmul();
void register_attention();
void register_rowwise();

}  // namespace llm
