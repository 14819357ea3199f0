#include "common/program/predict.h"

#include <gtest/gtest.h>

#include "tests/support/tiny_model.h"

namespace llm {
namespace {

// Hidden size 8, two heads of 4 on one KV head, feed-forward 6, vocabulary 10: small enough for paper.
ModelConfig paper_config(int num_layers) {
  ModelConfig config;
  config.model_type = "llama";
  config.hidden_size = 8;
  config.num_layers = num_layers;
  config.num_heads = 2;
  config.num_kv_heads = 1;
  config.head_dim = 4;
  config.intermediate_size = 6;
  config.vocab_size = 10;
  config.context_length = 16;
  return config;
}

// A layer's matrices hold 8 · 16 (Q, K, V) + 8 · 8 + 3 · 8 · 6 = 336 weights; the output matrix 80.
TEST(CountFlops, OnPaper) {
  EXPECT_EQ(count_flops(paper_config(1), 1, 1), 2 * 336 + 4 * 8 * 1 + 2 * 80);
  EXPECT_EQ(count_flops(paper_config(1), 1, 5), 2 * 336 + 4 * 8 * 5 + 2 * 80);
  EXPECT_EQ(count_flops(paper_config(1), 4, 4), 4 * 2 * 336 + 4 * 8 * (1 + 2 + 3 + 4) + 2 * 80);
  EXPECT_EQ(count_flops(paper_config(2), 3, 5), 2 * (3 * 2 * 336 + 4 * 8 * (3 + 4 + 5)) + 2 * 80);
}

TEST(CountFlops, LargeModelsDoNotOverflow) {
  ModelConfig config = paper_config(80);
  config.hidden_size = 8192;
  config.num_heads = 64;
  config.num_kv_heads = 8;
  config.head_dim = 128;
  config.intermediate_size = 28672;
  config.vocab_size = 128256;
  EXPECT_NEAR(count_flops(config, 1, 1), 2 * 69.5e9, 0.02 * 139e9) << "two a weight of Llama 3 70B";
}

TEST(CountBytes, WeightsOnceAndTheCache) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const auto model = tiny_transformer(paper_config(2), 1, dtype);
    const double weights = static_cast<double>(model->weights().bytes_per_step());
    EXPECT_EQ(count_bytes(*model, 0), weights);
    EXPECT_EQ(count_bytes(*model, 7), weights + 7.0 * 2 * 2 * 1 * 4 * (dtype == DType::f32 ? 4 : 2));
  }
}

TEST(PredictPass, IsTheSlowerOfReadingAndComputing) {
  const auto model = tiny_transformer(paper_config(1), 1);
  const double bytes = count_bytes(*model, 5), flops = count_flops(model->config(), 2, 5);
  EXPECT_NEAR(predict_pass_ms(*model, {1e3, 1e12}, 2, 5), bytes, 1e-9 * bytes);
  EXPECT_NEAR(predict_pass_ms(*model, {1e12, 1e3}, 2, 5), flops, 1e-9 * flops);
}

TEST(MeasureRates, ThisMachineReadsAndComputes) {
  const auto model = tiny_transformer(tiny_config("llama"), 1);
  const MachineRates rates = measure_rates(*model);
  EXPECT_GT(rates.bytes_per_second, 1e6);
  EXPECT_LT(rates.bytes_per_second, 1e14);
  EXPECT_GT(rates.flops_per_second, 1e6);
  EXPECT_LT(rates.flops_per_second, 1e15);
}

}  // namespace
}  // namespace llm
