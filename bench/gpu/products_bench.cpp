// Memory, and the products with weights: of many rows, which arithmetic bounds, and of one, which reading bounds.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bench/bench_tensor.h"
#include "bench/gpu/bench_gpu.h"
#include "bench/gpu/cublas_product.h"
#include "common/model/random_weights.h"
#include "common/program/machine.h"
#include "common/tensor/device_memory.h"

namespace llm {

namespace {

void peer_product(Device device, [[maybe_unused]] TensorView x, [[maybe_unused]] TensorView weight,
                  [[maybe_unused]] TensorView out) {
#if defined(LLM_HAVE_SIMT)
  if (device == Device::simt) return simt::cublas_product(x, weight, out);
#endif
#if defined(LLM_HAVE_CUDA)
  if (device == Device::cuda) return cuda::cublas_product(x, weight, out);
#endif
  require(false, "a product by cuBLAS on the {}", name_of(device));
}

// Some of the outputs, spread over all of them, in float64.
void check_product(const std::string& what, const Tensor& x, const Tensor& weight, TensorView out) {
  constexpr int64_t kChecked = 97;
  const int64_t in_features = x.view().dim(1), out_features = weight.view().dim(0);
  const int64_t count = std::min(kChecked, x.view().dim(0) * out_features);
  const auto value = [](const Tensor& tensor, int64_t i) -> double {
    return tensor.view().dtype == DType::bf16 ? to_float(tensor.view().as<bf16>()[i]) : tensor.view().as<float>()[i];
  };
  const Tensor here = to_host(out), actual({count}, DType::f32), expected({count}, DType::f32);
  for (int64_t c = 0; c < count; ++c) {
    const int64_t at = c * (out.numel() - 1) / std::max<int64_t>(count - 1, 1);
    const int64_t row = at / out_features, feature = at % out_features;
    double sum = 0.0;
    for (int64_t i = 0; i < in_features; ++i) {
      sum += value(x, row * in_features + i) * value(weight, feature * in_features + i);
    }
    expected.view().as<float>()[c] = static_cast<float>(sum);
    actual.view().as<float>()[c] = here.view().as<float>()[at];
  }
  require_close(what, actual, expected, 2e-6 * std::sqrt(static_cast<double>(in_features)));
}

struct Product {
  std::string model, layer;
  int64_t out_features, in_features;
};

// What a layer of the model, and its output, multiply with.
std::vector<Product> products_of(const std::string& name) {
  const ModelConfig c = random_shape(name);
  return {{name, "qkv", c.qkv_size(), c.hidden_size},
          {name, "attention_out", c.hidden_size, c.num_heads * c.head_dim},
          {name, "gate_up", 2 * c.intermediate_size, c.hidden_size},
          {name, "down", c.hidden_size, c.intermediate_size},
          {name, "lm_head", c.vocab_size, c.hidden_size}};
}

Json describe(const Product& product, int64_t rows, DType dtype) {
  Json row = Json::object();
  row.set("model", product.model).set("layer", product.layer).set("rows", rows);
  row.set("out_features", product.out_features).set("in_features", product.in_features);
  return row.set("dtype", name_of(dtype));
}

// Some rows times matrices that are used in turn, for one of the lists. Of a few rows it tells how fast the matrices
// are read, of many how many operations a second that is.
void bench_product(GpuBench& bench, const char* list, const Product& product, int64_t rows, DType dtype) {
  const Ops& ops = ops_for(bench.device);
  const Tensor numbers = bench_tensor({product.out_features, product.in_features}, dtype);
  const Tensor x_here = bench_tensor({rows, product.in_features}, dtype, 1);
  const Tensor x = to_device(x_here, bench.device), weight = to_device(numbers, bench.device);
  const TensorView part = weight;
  const int64_t bytes = static_cast<int64_t>(part.nbytes());
  std::vector<Matrix> weights;
  for (int64_t i = count_copies(bench, bytes); i > 0; --i) weights.push_back(ops.make_matrix({&part, 1}, dtype));
  const Tensor out({rows, product.out_features}, DType::f32, bench.device);
  const auto next = [&](int64_t i) -> const Matrix& { return weights[static_cast<size_t>(i) % weights.size()]; };

  Json row = describe(product, rows, dtype);
  row.set("weight_bytes", bytes).set("copies", static_cast<int64_t>(weights.size()));
  const auto time = [&](const std::string& by, const std::function<void(int64_t)>& work) {
    work(0);
    check_product(fmt::format("{} {} by {}", product.model, product.layer, by), x_here, numbers, out);
    const Json us = time_us(bench, static_cast<int64_t>(weights.size()), work);
    row.set(by + "_us", us);
    return 1e6 / median_of(us);
  };
  const double ours = time("ours", [&](int64_t i) { ops.matmul(x, next(i), {}, out); });
  const double cublas = time("cublas", [&](int64_t i) { peer_product(bench.device, x, next(i).data, out); });
  if (std::string_view(list) != "matrix") {
    row.set("bytes_per_second", ours * static_cast<double>(bytes));
    row.set("cublas_bytes_per_second", cublas * static_cast<double>(bytes));
    return bench.add(list, row);
  }
  const double flops = 2.0 * static_cast<double>(rows * product.out_features * product.in_features);
  bench.add(list, row.set("flops_per_second", ours * flops).set("cublas_flops_per_second", cublas * flops));
}

}  // namespace

void bench_memory(GpuBench& bench) {
  const size_t bytes = bench.quick ? 100000 : size_t{2} << 30;
  const ReadPass pass(bytes, bench.device);
  const TensorView numbers = pass.numbers();
  const auto add = [&](const char* what, double bytes_moved, const std::function<void()>& work) {
    const Json us = time_unrecorded_us(bench, work);
    Json row = Json::object();
    row.set("what", what).set("buffer_bytes", static_cast<int64_t>(numbers.nbytes())).set("us", us);
    bench.add("memory", row.set("bytes_per_second", 1e6 * bytes_moved / median_of(us)));
  };
  const double once = static_cast<double>(numbers.nbytes());
  {
    const Tensor to(numbers.shape, DType::f32, bench.device);
    copy(numbers, to);
    require_close("copy", to.view().rows(0, 1), numbers.rows(0, 1), 0.0);
    add("copy", 2.0 * once, [&] { copy(numbers, to); });
  }
  pass.run();
  const TensorView some = numbers.rows(numbers.dim(0) - 1, numbers.dim(0));
  const Tensor here = to_host(some), expected({1}, DType::f32);
  cpu::sum_rows(here, expected);
  require_close("read", pass.sums().rows(numbers.dim(0) - 1, numbers.dim(0)), expected, 1e-5);
  add("read", once, [&] { pass.run(); });
}

void bench_matrix(GpuBench& bench) {
  if (bench.quick) return bench_product(bench, "matrix", {"square", "square", 31, 40}, 33, DType::bf16);
  bench_product(bench, "matrix", {"square", "square", 8192, 8192}, 8192, DType::bf16);
  bench_product(bench, "matrix", {"square", "square", 8192, 8192}, 8192, DType::f32);
  for (const Product& product : products_of("llama-3-8b")) bench_product(bench, "matrix", product, 512, DType::bf16);
}

void bench_matvec(GpuBench& bench) {
  if (bench.quick) {
    for (const int64_t in_features : {31, 64, 1096})
      bench_product(bench, "matvec", {"tiny", "tiny", 33, in_features}, 1, DType::bf16);
    return;
  }
  for (const char* model : {"llama-3-8b", "llama-3.2-1b"}) {
    for (const DType dtype : {DType::bf16, DType::f32}) {
      for (const Product& product : products_of(model)) bench_product(bench, "matvec", product, 1, dtype);
    }
  }
}

void bench_few_rows(GpuBench& bench) {
  if (bench.quick) {
    for (const int64_t rows : {2, 3, 8}) bench_product(bench, "few_rows", {"tiny", "tiny", 33, 64}, rows, DType::bf16);
    return;
  }
  for (const char* model : {"llama-3-8b", "llama-3.2-1b"}) {
    for (const DType dtype : {DType::bf16, DType::f32}) {
      for (const int64_t rows : {2, 4, 8}) {
        for (const Product& product : products_of(model)) bench_product(bench, "few_rows", product, rows, dtype);
      }
    }
  }
}

}  // namespace llm
