#include "chapters/05_grouped_query_attention/head_pooling.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "common/ops/widen.h"

namespace llm {

namespace {

// Uniform numbers with the mean square of `values`.
std::vector<double> random_like(const std::vector<float>& values, size_t count, const std::string& seed) {
  double squares = 0.0;
  for (const float value : values) squares += double{value} * value;
  const double range = std::sqrt(3.0 * squares / static_cast<double>(values.size()));
  std::seed_seq seeds(seed.begin(), seed.end());
  std::mt19937_64 random(seeds);
  std::vector<double> numbers(count);
  for (double& number : numbers) number = range * (static_cast<double>(random() >> 11) * 0x1p-52 - 1.0);
  return numbers;
}

// region: pool
// The number at place i of head `to`, of `size` numbers a head. A sum in double precision is exact for equal members,
// and so is their mean.
double pooled(const std::vector<float>& heads, size_t size, size_t from_heads, size_t to_heads, Pooling pooling,
              size_t to, size_t i) {
  const size_t group = std::max<size_t>(from_heads / to_heads, 1), first = to * from_heads / to_heads;
  if (pooling == Pooling::first) return heads[first * size + i];
  double sum = 0.0;
  for (size_t member = first; member < first + group; ++member) sum += heads[member * size + i];
  return sum / static_cast<double>(group);
}
// endregion

template <class T>
void narrow_to(const std::vector<double>& values, TensorView out) {
  std::ranges::transform(values, out.as<T>(), [](double value) { return from_float<T>(static_cast<float>(value)); });
}

}  // namespace

std::vector<int> possible_kv_heads(const ModelConfig& config) {
  std::vector<int> possible;
  for (int heads = 1; heads <= config.num_heads; ++heads) {
    const bool even = config.num_kv_heads % heads == 0 || heads % config.num_kv_heads == 0;
    if (config.num_heads % heads == 0 && even) possible.push_back(heads);
  }
  return possible;
}

ModelConfig with_kv_heads(const ModelConfig& config, int num_kv_heads) {
  const std::vector<int> possible = possible_kv_heads(config);
  if (std::ranges::find(possible, num_kv_heads) == possible.end()) {
    fail_input("--kv-heads is {}, but {} has {} heads and {} KV heads; give one of {}", num_kv_heads, config.name,
               config.num_heads, config.num_kv_heads, fmt::join(possible, ", "));
  }
  ModelConfig converted = config;
  converted.num_kv_heads = num_kv_heads;
  return converted;
}

Tensor pool_heads(TensorView heads, int from_heads, int to_heads, Pooling pooling, const std::string& seed) {
  const auto from = static_cast<size_t>(from_heads), to = static_cast<size_t>(to_heads);
  std::vector<float> numbers(static_cast<size_t>(heads.numel()));
  widen(heads, 0, heads.numel(), numbers.data());
  const size_t size = numbers.size() / from;

  std::vector<double> values(to * size);
  if (pooling == Pooling::random && to < from) {
    values = random_like(numbers, values.size(), seed);
  } else {
    for (size_t i = 0; i < values.size(); ++i) values[i] = pooled(numbers, size, from, to, pooling, i / size, i % size);
  }

  const int64_t rows = heads.dim(0) / from_heads * to_heads;
  Tensor out(heads.shape.rank() == 1 ? Shape{rows} : Shape{rows, heads.dim(1)}, heads.dtype);
  if (heads.dtype == DType::f32) narrow_to<float>(values, out);
  if (heads.dtype == DType::bf16) narrow_to<bf16>(values, out);
  if (heads.dtype == DType::f16) narrow_to<f16>(values, out);
  return out;
}

}  // namespace llm
