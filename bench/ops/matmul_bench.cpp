// The matrix product beside its two yardsticks: OpenBLAS, where it is there, and a read-only pass over as many bytes.
#include <omp.h>

#include <vector>

#include "bench/ops/bench_ops.h"
#include "common/ops/matmul.h"
#include "common/program/machine.h"
#ifdef LLM_HAVE_OPENBLAS
#include <cblas.h>
#endif

namespace llm {

namespace {

struct Layer {
  std::string name;
  int64_t in, out;
  int copies;

  double operations(int64_t rows) const { return 2.0 * static_cast<double>(rows * in * out); }
};

// GFLOP/s, and for one row the weights' GB/s as a share of what a read-only pass reaches at once after it.
void count_work(benchmark::State& state, const Layer& layer, int64_t rows, size_t weight_bytes) {
  using benchmark::Counter;
  const double passes = static_cast<double>(state.iterations());
  state.counters["flop/s"] = Counter(passes * layer.operations(rows), Counter::kIsRate);
  state.counters["bytes/s"] = Counter(passes * static_cast<double>(weight_bytes), Counter::kIsRate);
  if (rows == 1)
    state.counters["read_bytes/s"] = measure_read_bandwidth(weight_bytes * static_cast<size_t>(layer.copies));
}

void bench_ours(benchmark::State& state, const Layer& layer, int64_t rows, DType dtype) {
  std::vector<Matrix> weights;
  for (int i = 0; i < layer.copies; ++i) {
    const Tensor numbers = bench_tensor({layer.out, layer.in});
    const TensorView part = numbers;
    weights.push_back(cpu::make_matrix({&part, 1}, dtype));
  }
  const Tensor x = bench_tensor({rows, layer.in}), out({rows, layer.out}, DType::f32);
  size_t turn = 0;
  for (auto _ : state) {
    cpu::matmul(x, weights[turn++ % weights.size()], {}, out);
    benchmark::ClobberMemory();
  }
  count_work(state, layer, rows, weights[0].data.view().nbytes());
}

#ifdef LLM_HAVE_OPENBLAS
void bench_openblas(benchmark::State& state, const Layer& layer, int64_t rows) {
  openblas_set_num_threads(omp_get_max_threads());
  std::vector<Tensor> weights;
  for (int i = 0; i < layer.copies; ++i) weights.push_back(bench_tensor({layer.out, layer.in}));
  const Tensor x = bench_tensor({rows, layer.in}), out({rows, layer.out}, DType::f32);
  const auto m = static_cast<blasint>(rows), n = static_cast<blasint>(layer.out), k = static_cast<blasint>(layer.in);
  size_t turn = 0;
  for (auto _ : state) {
    const float* const weight = weights[turn++ % weights.size()].view().as<float>();
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, k, 1.0f, x.view().as<float>(), k, weight, k, 0.0f,
                out.view().as<float>(), n);
    benchmark::ClobberMemory();
  }
  count_work(state, layer, rows, weights[0].view().nbytes());
}
#endif

}  // namespace

void register_matmul() {
  for (const BenchModel& model : kBenchModels) {
    const std::string name = model.name;
    for (const Layer& layer : {Layer{name + "/qkv", model.hidden, model.qkv(), model.copies},
                               {name + "/out", model.heads * model.head_dim, model.hidden, model.copies},
                               {name + "/gate_up", model.hidden, 2 * model.intermediate, model.copies},
                               {name + "/down", model.intermediate, model.hidden, model.copies},
                               {name + "/lm_head", model.hidden, model.vocab, 1}}) {
      for (const int64_t rows : {1, 5, 16, 64, 256}) {
        if (rows > 64 && layer.out == model.vocab) continue;  // prefill asks for one row of logits
        const std::string suffix = "/" + layer.name + "/rows:" + std::to_string(rows);
        for (const DType dtype : {DType::f32, DType::bf16}) {
          register_bench(std::string("matmul/") + name_of(dtype) + suffix,
                         [=](benchmark::State& state) { bench_ours(state, layer, rows, dtype); });
        }
#ifdef LLM_HAVE_OPENBLAS
        register_bench("matmul/openblas" + suffix,
                       [=](benchmark::State& state) { bench_openblas(state, layer, rows); });
#endif
      }
    }
  }
}

}  // namespace llm
