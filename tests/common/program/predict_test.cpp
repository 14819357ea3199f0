#include "common/program/predict.h"

#include <gtest/gtest.h>

#include "common/program/machine.h"
#include "tests/support/expect_close.h"
#include "tests/support/gpu_device.h"
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

TEST(MeasureRates, TheDeviceOfTheModelReadsAndComputes) {
  for (const Device device : {Device::cpu, Device::cuda}) {
    if (!missing_device(device).empty()) continue;
    for (const DType dtype : {DType::f32, DType::bf16}) {
      SeededWeights weights(1);
      const MachineRates rates = measure_rates(Transformer(tiny_config("llama"), weights, dtype, device));
      EXPECT_GT(rates.bytes_per_second, 1e6) << name_of(device);
      EXPECT_LT(rates.bytes_per_second, 1e14) << name_of(device);
      EXPECT_GT(rates.flops_per_second, 1e5) << name_of(device);
      EXPECT_LT(rates.flops_per_second, 1e15) << name_of(device);
    }
  }
}

// The simulator's speed says nothing of a GPU's, nor do this machine's rates say anything of the simulator.
TEST(MeasureRates, NoneForTheSimulator) {
  LLM_SKIP_WITHOUT(Device::simt);
  SeededWeights weights(1);
  const Transformer model(tiny_config("llama"), weights, DType::f32, Device::simt);
  const MachineRates rates = measure_rates(model);
  EXPECT_TRUE(std::isnan(rates.bytes_per_second));
  EXPECT_TRUE(std::isnan(rates.flops_per_second));
  EXPECT_TRUE(std::isnan(predict_pass_ms(model, rates, 1, 5)));
}

// A pass reads all of its buffer, which is at least as large as it was asked to be.
TEST(ReadPass, ReadsEveryNumber) {
  for (const Device device : {Device::cpu, Device::simt, Device::cuda}) {
    if (!missing_device(device).empty()) continue;
    for (const size_t bytes : {size_t{1}, size_t{32768}, size_t{32769}, size_t{200000}}) {
      const ReadPass pass(bytes, device);
      EXPECT_GE(pass.numbers().nbytes(), bytes);
      EXPECT_LT(pass.numbers().nbytes(), bytes + 32768);
      pass.run();
      const Tensor numbers = to_host(pass.numbers()), sums = to_host(pass.sums());
      std::vector<double> expected(static_cast<size_t>(sums.view().numel()));
      const int64_t width = numbers.view().dim(1);
      for (int64_t i = 0; i < numbers.view().numel(); ++i) {
        const float number = numbers.view().as<float>()[i];
        EXPECT_NE(number, 0.0f);
        expected[static_cast<size_t>(i / width)] += number;
      }
      expect_close(sums, expected, 1e-5);
    }
  }
}

}  // namespace
}  // namespace llm
