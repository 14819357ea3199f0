#include "chapters/05_grouped_query_attention/decode_speed.h"

#include <algorithm>
#include <chrono>

#include "chapters/02_kv_cache/contiguous_kv_cache.h"
#include "chapters/03_paged_attention/batched_generation.h"
#include "chapters/03_paged_attention/paged_kv_cache.h"
#include "common/program/format.h"

namespace llm {

namespace {

constexpr int32_t kBlockSize = 16;
constexpr int kWarmSteps = 3;  // on a GPU the third is recorded as a graph
constexpr double kMostSeconds = 1.0;

// What the cache holds is made up, so that no prompt has to pass through the model. Zeros would be read faster than
// other numbers. Two bf16 numbers side by side are an f32 number of about the second one's size.
void fill_randomly(const Transformer& model, KvMemory& cache) {
  for (int layer = 0; layer < model.config().num_layers; ++layer) {
    const KvView kv = cache.layer(layer);
    for (const TensorView& numbers : {kv.k, kv.v}) {
      const int64_t halves = numbers.numel() / numbers.dim(0) * static_cast<int64_t>(size_of(numbers.dtype)) / 2;
      const TensorView as_bf16{numbers.data, {numbers.dim(0), halves}, DType::bf16, numbers.device};
      model.ops().fill_random(as_bf16, static_cast<uint64_t>(layer), 1.0f);
    }
  }
}

// So many texts of which all but the last token stand in the cache.
std::vector<Text> make_texts(const Transformer& model, const DecodeShape& shape) {
  std::vector<int32_t> ids(static_cast<size_t>(shape.context_len));
  for (size_t i = 0; i < ids.size(); ++i) {
    ids[i] = static_cast<int32_t>((7919 * i + 13) % static_cast<size_t>(model.config().vocab_size));
  }
  std::vector<Text> texts;
  for (int32_t id = 0; id < shape.batch; ++id) {
    const auto num_computed = static_cast<int32_t>(shape.context_len - 1);
    texts.push_back({id, Generation(ids, model.config(), {kDecodeSteps, true, {}}), num_computed});
  }
  return texts;
}

}  // namespace

double count_bytes_per_token(const Transformer& model, const DecodeShape& shape) {
  const double weights = static_cast<double>(model.weights().bytes_per_step());
  const double cache =
      static_cast<double>(shape.context_len * model.config().kv_bytes_per_token(size_of(model.dtype())));
  return weights / static_cast<double>(shape.batch) + cache;
}

double predict_decode_rate(const Transformer& model, const MachineRates& rates, const DecodeShape& shape) {
  const double reading = count_bytes_per_token(model, shape) / rates.bytes_per_second;
  const double computing = count_flops(model.config(), 1, shape.context_len) / rates.flops_per_second;
  return 1.0 / std::max(reading, computing);
}

double measure_decode_rate(const Transformer& model, AttendFn attend, const DecodeShape& shape) {
  const int64_t max_length = shape.context_len + kDecodeSteps;
  ContiguousKvCache cache(model.config(), max_length, shape.batch, model.dtype(), model.device());
  std::vector<Text> texts = make_texts(model, shape);
  Batch known(shape.batch * shape.context_len, shape.batch, model.device());
  for (const Text& text : texts) {
    known.add(text.id, std::span(text.generation.all()).first(static_cast<size_t>(text.num_computed_tokens)), 0,
              LogitRows::none);
  }
  require(cache.begin_step(known), "a cache of {} tokens is too small for them", max_length);
  fill_randomly(model, cache);

  BatchedGeneration batched(model, cache, attend, shape.batch, shape.batch);
  std::vector<Text*> running;
  for (Text& text : texts) running.push_back(&text);
  std::vector<double> seconds;
  double total = 0.0;
  for (int step = 0; step < kDecodeSteps && (seconds.size() < 3 || total < kMostSeconds); ++step) {
    const auto begin = std::chrono::steady_clock::now();
    require(batched.step(running), "the cache is full");
    const double taken = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    total += taken;
    if (step >= kWarmSteps) seconds.push_back(taken);
  }
  return static_cast<double>(shape.batch) / median(seconds);
}

int64_t round_to_blocks(int64_t tokens) { return (tokens + kBlockSize - 1) / kBlockSize * kBlockSize; }

int64_t predict_largest_batch(const ModelConfig& config, DType dtype, int64_t context_len, int64_t budget_bytes) {
  const int64_t budget_blocks = budget_bytes / (config.kv_bytes_per_token(size_of(dtype)) * kBlockSize);
  return budget_blocks / (round_to_blocks(context_len) / kBlockSize);
}

int64_t measure_largest_batch(const ModelConfig& config, DType dtype, int64_t context_len, int64_t budget_bytes) {
  const auto block_bytes = config.kv_bytes_per_token(size_of(dtype)) * kBlockSize;
  const auto num_blocks = static_cast<int32_t>(budget_bytes / block_bytes), length = static_cast<int32_t>(context_len);
  if (num_blocks == 0) return 0;
  PagedKvCache cache(config, {num_blocks, kBlockSize, length, 1}, dtype);
  int32_t batch = 0;
  while (cache.allocate(batch, length)) ++batch;
  return batch;
}

}  // namespace llm
