#include "exercises/05_grouped_query_attention.h"

#include <algorithm>
#include <random>

#include "chapters/05_grouped_query_attention/head_pooling.h"
#include "common/model/random_weights.h"
#include "common/ops/attention.h"
#include "exercises/checks/check.h"

namespace llm {
namespace {

ModelConfig shaped(const std::string& name, int num_kv_heads) {
  return with_kv_heads(random_shape(name), num_kv_heads);
}

TEST(Chapter5, Exercise1) {
  const auto expect = [](const char* name, double predicted, int num_kv_heads) {
    const int64_t bytes = shaped("llama-3-70b", num_kv_heads).kv_bytes_per_token(2) * 8192;
    expect_prediction(name, predicted, static_cast<double>(bytes) / 1e9,
                      fmt::format("with {} KV heads it is", num_kv_heads), 0.01);
  };
  expect("kGqaGigabytes", exercises::kGqaGigabytes, 8);
  expect("kMhaGigabytes", exercises::kMhaGigabytes, 64);
  expect("kMqaGigabytes", exercises::kMqaGigabytes, 1);
}

TEST(Chapter5, Exercise2) {
  const int64_t weights = 2 * random_shape("llama-3-8b").num_parameters();
  const auto expect = [&](const char* name, int64_t predicted, int num_kv_heads) {
    expect_prediction(name, predicted, weights / 16 / shaped("llama-3-8b", num_kv_heads).kv_bytes_per_token(2),
                      fmt::format("with {} KV heads it is", num_kv_heads), 0.01);
  };
  expect("kContextOfEqualReads", exercises::kContextOfEqualReads, 8);
  expect("kContextOfEqualReadsOfMha", exercises::kContextOfEqualReadsOfMha, 32);
}

// One token over its own key: each query head's output is the value of the KV head that it reads, and that is its
// number.
TEST(Chapter5, Exercise3) {
  for (const int64_t kv_heads : {1, 2, 3, 8}) {
    for (const int64_t group : {1, 2, 3, 7}) {
      const int64_t heads = kv_heads * group;
      const Tensor q({1, heads, 2}, DType::f32), k({1, kv_heads, 2}, DType::f32), v({1, kv_heads, 2}, DType::f32);
      const Tensor out({1, heads, 2}, DType::f32), slot({1}, DType::i32), table({1, 1}, DType::i32);
      std::fill_n(q.view().as<float>(), heads * 2, 1.0f);
      std::fill_n(k.view().as<float>(), kv_heads * 2, 1.0f);
      for (int64_t i = 0; i < kv_heads * 2; ++i) v.view().as<float>()[i] = static_cast<float>(i / 2);
      slot.view().as<int32_t>()[0] = table.view().as<int32_t>()[0] = 0;
      Batch batch(1, 1);
      batch.add(0, std::vector<int32_t>{1}, 0, LogitRows::none);
      Workspace workspace;
      cpu::attend(batch, q, {k, v, slot, table, 1}, workspace, out);
      for (int64_t head = 0; head < heads; ++head) {
        ASSERT_ANSWER(static_cast<float>(exercises::kv_head_of(static_cast<int>(head), static_cast<int>(heads),
                                                               static_cast<int>(kv_heads))),
                      out.view().as<float>()[2 * head])
            << "Query head " << head << " of " << heads << " with " << kv_heads
            << " KV heads, by what attention reads for it.";
      }
    }
  }
}

TEST(Chapter5, Exercise4) {
  for (int num_heads = 1; num_heads <= 40; ++num_heads) {
    for (int num_kv_heads = 1; num_kv_heads <= num_heads; ++num_kv_heads) {
      if (num_heads % num_kv_heads != 0) continue;
      ModelConfig config;
      config.num_heads = num_heads;
      config.num_kv_heads = num_kv_heads;
      ASSERT_ANSWER(exercises::possible_kv_heads(num_heads, num_kv_heads), possible_kv_heads(config))
          << "A model of " << num_heads << " heads and " << num_kv_heads << " KV heads.";
    }
  }
}

TEST(Chapter5, Exercise5) {
  std::mt19937_64 random(1);
  std::uniform_real_distribution<float> numbers(-1.0f, 1.0f);
  const std::vector<std::pair<int, int>> conversions = {{1, 1}, {2, 1}, {8, 2}, {8, 1}, {6, 3}, {6, 6}, {2, 8}, {1, 5}};
  for (const auto& [from, to] : conversions) {
    for (const int64_t size : {1, 33, 64}) {
      const Tensor heads({from * size, 1}, DType::f32);
      const std::span<float> values(heads.view().as<float>(), static_cast<size_t>(from * size));
      std::ranges::generate(values, [&] { return numbers(random); });
      const Tensor expected = pool_heads(heads, from, to, Pooling::mean, "");
      const std::vector<float> pooled = exercises::mean_pool(values, from, to);
      ASSERT_ANSWER(std::ssize(pooled), to * size) << "Numbers in the result: to_heads heads of the same size.";
      for (size_t i = 0; i < pooled.size(); ++i) {
        ASSERT_NEAR_ANSWER(pooled[i], expected.view().as<float>()[i], 1e-6) << fmt::format(
            "Number {} of head {}, where {} heads of {} numbers become {}.", i % size, i / size, from, size, to);
      }
    }
  }
}

}  // namespace
}  // namespace llm
