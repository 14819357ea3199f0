// The operators that read no weights: attention of one token to a context, and those that pass over activations once.
#include <fmt/format.h>

#include <cmath>

#include "bench/bench_tensor.h"
#include "bench/gpu/bench_gpu.h"
#include "common/model/random_weights.h"
#include "common/ops/ops.h"
#include "common/tensor/device_memory.h"

namespace llm {

namespace {

constexpr double kBf16Tolerance = 2e-2;

// What products read is bf16 on a GPU and f32 on the CPU: see Transformer::activation_dtype.
DType activation(Device device) { return device == Device::cpu ? DType::f32 : DType::bf16; }

Tensor integers(std::initializer_list<int32_t> values, Device device) {
  const Tensor tensor({static_cast<int64_t>(values.size())}, DType::i32);
  std::copy(values.begin(), values.end(), tensor.view().as<int32_t>());
  return to_device(tensor, device);
}

void add_operator(GpuBench& bench, const std::string& model, const char* name, double tolerance,
                  const std::function<PreparedOperator(Device)>& prepare) {
  const Json us = check_and_time(bench, name, tolerance, prepare);
  bench.add("operators", Json::object().set("model", model).set("name", name).set("us", us));
}

// One new token after context_len − 1 others. Caches are used in turn, as a model's layers are.
void bench_attention(GpuBench& bench, const ModelConfig& c, int64_t context_len) {
  const int64_t kv_bytes = 2 * context_len * c.num_kv_heads * c.head_dim * 2;
  const int64_t copies = count_copies(bench, kv_bytes);
  const Tensor k_here = bench_tensor({copies * context_len, c.num_kv_heads, c.head_dim}, DType::bf16, 1);
  const Tensor v_here = bench_tensor({copies * context_len, c.num_kv_heads, c.head_dim}, DType::bf16, 2);
  const Tensor q_here = bench_tensor({1, c.num_heads, c.head_dim}, DType::f32, 3);
  const Tensor k = to_device(k_here, bench.device), v = to_device(v_here, bench.device);
  const Tensor out({1, c.num_heads, c.head_dim}, DType::bf16, bench.device), expected(out.view().shape, DType::f32);
  const Tensor q = to_device(bench_tensor(q_here.view().shape, DType::bf16, 3), bench.device);
  const Tensor table_here = integers({0}, Device::cpu), table = to_device(table_here, bench.device);
  Workspace workspace(bench.device), workspace_here;
  const auto batch_on = [&](Device device) {
    Batch batch(1, 1, device);
    batch.add(0, std::vector<int32_t>{0}, static_cast<int32_t>(context_len - 1), LogitRows::none);
    batch.upload();
    return batch;
  };
  const Batch batch = batch_on(bench.device), batch_here = batch_on(Device::cpu);
  const auto attend = [&](int64_t i) {
    const int64_t first = i % copies * context_len;
    workspace.reset();
    const KvView kv{k.view().rows(first, first + context_len),
                    v.view().rows(first, first + context_len),
                    {},
                    table.view().reshaped({1, 1}),
                    static_cast<int>(context_len)};
    ops_for(bench.device).attend(batch, q, kv, workspace, out);
  };
  attend(0);
  ops_for(Device::cpu)
      .attend(batch_here, q_here,
              {k_here.view().rows(0, context_len),
               v_here.view().rows(0, context_len),
               {},
               table_here.view().reshaped({1, 1}),
               static_cast<int>(context_len)},
              workspace_here, expected);
  require_close("attention", out, expected, kBf16Tolerance);
  const Json us = time_us(bench, copies, attend);
  Json row = Json::object();
  row.set("model", c.name).set("heads", c.num_heads).set("kv_heads", c.num_kv_heads).set("head_dim", c.head_dim);
  row.set("context_len", context_len).set("dtype", "bf16").set("kv_bytes", kv_bytes).set("copies", copies);
  row.set("us", us).set("bytes_per_second", 1e6 * static_cast<double>(kv_bytes) / median_of(us));
  bench.add("attention", row);
}

// One token's pass through the small operators. Numbers come from the cache, where the step before left them.
void bench_small(GpuBench& bench, const ModelConfig& c) {
  add_operator(bench, c.name, "embed", kBf16Tolerance, [&](Device device) -> PreparedOperator {
    const Tensor table = to_device(bench_tensor({c.vocab_size, c.hidden_size}, DType::bf16), device);
    const Tensor tokens = integers({c.vocab_size - 1}, device), out({1, c.hidden_size}, DType::f32, device);
    return {[=] { ops_for(device).embed(tokens, table, out); }, out};
  });
  add_operator(bench, c.name, "add_rmsnorm", kBf16Tolerance, [&](Device device) -> PreparedOperator {
    const Tensor x = to_device(bench_tensor({1, c.hidden_size}), device);
    const Tensor delta = to_device(bench_tensor({1, c.hidden_size}, DType::f32, 1), device);
    const Tensor weight = to_device(bench_tensor({c.hidden_size}, DType::f32, 2), device);
    const Tensor out({1, c.hidden_size}, activation(device), device);
    return {[=] { ops_for(device).add_rmsnorm(x, delta, weight, 1e-5f, out); }, out};
  });
  add_operator(bench, c.name, "rope_and_store", kBf16Tolerance, [&](Device device) -> PreparedOperator {
    const Tensor qkv = to_device(bench_tensor({1, c.qkv_size()}), device);
    const Tensor cos_sin = to_device(bench_tensor({64, c.head_dim}, DType::f32, 1), device);
    const Tensor k({8, c.num_kv_heads, c.head_dim}, DType::bf16, device), v(k.view().shape, DType::bf16, device);
    const Tensor positions = integers({33}, device), slots = integers({7}, device);
    const Tensor q({1, c.num_heads, c.head_dim}, activation(device), device);
    return {[=] {
              ops_for(device).rope_and_store(qkv, positions, {cos_sin, {}, {}, 0.0f}, q, {k, v, slots, {}, 1});
            },
            q};
  });
  add_operator(bench, c.name, "argmax", 0.0, [&](Device device) -> PreparedOperator {
    const Tensor logits = to_device(bench_tensor({1, c.vocab_size}), device), out({1, 2}, DType::i32, device);
    const auto workspace = std::make_shared<Workspace>(device);
    return {[=] { ops_for(device).argmax(logits, *workspace, out); }, out};
  });
}

}  // namespace

void bench_operators(GpuBench& bench) {
  if (bench.quick) {
    ModelConfig tiny = random_shape("llama2c-15m");
    tiny.vocab_size = 1031;
    tiny.num_kv_heads = 2;
    for (const int64_t context_len : {1, 33}) bench_attention(bench, tiny, context_len);
    return bench_small(bench, tiny);
  }
  for (const char* name : {"llama-3-8b", "llama-3.2-1b"}) {
    for (const int64_t context_len : {128, 512, 4096, 8192}) bench_attention(bench, random_shape(name), context_len);
    bench_small(bench, random_shape(name));
  }
}

}  // namespace llm
