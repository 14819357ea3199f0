#include "chapters/05_grouped_query_attention/variants.h"

#include <gtest/gtest.h>

#include <cmath>

#include "chapters/05_grouped_query_attention/decode_speed.h"
#include "chapters/05_grouped_query_attention/eval_text.h"
#include "chapters/05_grouped_query_attention/known_models.h"
#include "tests/support/sentence_of.h"
#include "tests/support/tiny_model.h"

namespace llm {
namespace {

ModelSource source_of(int heads, int kv_heads) {
  ModelConfig config = tiny_config("llama");
  config.num_heads = heads;
  config.num_kv_heads = kv_heads;
  return {"given", config, std::make_shared<SeededWeights>(1), nullptr};
}

std::string names_of(const ModelSource& source, int kv_heads = 0) {
  Options options;
  options.model = "given";
  std::string names;
  for (const Variant& v : find_variants(source, options, kv_heads)) {
    names +=
        fmt::format("{}{}-{}{}", names.empty() ? "" : " ", v.name, v.source.config.num_kv_heads, v.given ? "*" : "");
  }
  return names;
}

TEST(Variants, BothEndsAndOneBetween) {
  EXPECT_EQ(names_of(source_of(8, 8)), "MHA-8* GQA-2 MQA-1");
  EXPECT_EQ(names_of(source_of(8, 8), 4), "MHA-8* GQA-4 MQA-1");
  EXPECT_EQ(names_of(source_of(32, 8)), "MHA-32 GQA-8* MQA-1");
  EXPECT_EQ(names_of(source_of(32, 8), 4), "MHA-32 GQA-8* GQA-4 MQA-1");
  EXPECT_EQ(names_of(source_of(8, 1)), "MHA-8 GQA-2 MQA-1*");
  EXPECT_EQ(names_of(source_of(6, 6)), "MHA-6* GQA-3 MQA-1") << "no quarter, but a half";
  EXPECT_EQ(names_of(source_of(3, 3)), "MHA-3* MQA-1") << "nothing between";
  EXPECT_EQ(names_of(source_of(1, 1)), "MHA-1*");
  const ModelSource source = source_of(8, 8);
  EXPECT_SENTENCE(find_variants(source, {}, 3),
                  "--kv-heads is 3, but tiny-llama has 8 heads and 8 KV heads; give one of 1, 2, 4, 8");
}

// The page's table.
TEST(KnownModels, BytesOfAToken) {
  std::map<std::string, int64_t> bytes;
  for (const ModelConfig& config : known_models()) {
    EXPECT_EQ(config.num_heads % config.num_kv_heads, 0) << config.name;
    bytes[config.name] = config.kv_bytes_per_token(2);
  }
  EXPECT_EQ(bytes.at("llama-2-7b"), 524'288);
  EXPECT_EQ(bytes.at("mistral-7b"), 131'072);
  EXPECT_EQ(bytes.at("qwen2-7b"), 57'344);
  EXPECT_EQ(bytes.at("gemma-2b"), 18'432);
  EXPECT_EQ(bytes.at("falcon-7b"), 8'192);
}

TEST(DecodeSpeed, TheLargestBatchIsWhatArithmeticSays) {
  for (const int kv_heads : {1, 2, 6}) {
    const ModelConfig config = source_of(6, kv_heads).config;
    for (const int64_t length : {1, 15, 16, 17, 33, 48}) {
      for (const int64_t budget : {1, 3'000, 20'011, 100'000}) {
        EXPECT_EQ(measure_largest_batch(config, DType::f32, length, budget),
                  predict_largest_batch(config, DType::f32, length, budget))
            << kv_heads << " " << length << " " << budget;
      }
    }
  }
  const ModelConfig config = source_of(6, 2).config;  // 192 bytes a token, 3,072 a block
  EXPECT_EQ(measure_largest_batch(config, DType::f32, 17, 20'000), 3) << "6 blocks, two a text";
  EXPECT_EQ(measure_largest_batch(config, DType::bf16, 17, 20'000), 6);
}

// Weights are shared by a batch's texts, keys and values are not.
TEST(DecodeSpeed, CountsWhatATokenReads) {
  const auto model = tiny_transformer(tiny_config("llama"), 1);
  const double weights = static_cast<double>(model->weights().bytes_per_step());
  EXPECT_EQ(count_bytes_per_token(*model, {10, 1}), weights + 10 * 192);
  EXPECT_EQ(count_bytes_per_token(*model, {10, 4}), weights / 4 + 10 * 192);
  const MachineRates only_bytes{1e6, 1e30}, only_flops{1e30, 1e6};
  EXPECT_NEAR(predict_decode_rate(*model, only_bytes, {10, 4}), 1e6 / (weights / 4 + 1920), 1e-6);
  EXPECT_NEAR(predict_decode_rate(*model, only_flops, {10, 4}), 1e6 / count_flops(model->config(), 1, 10), 1e-6);
}

TEST(DecodeSpeed, MeasuresEveryFamilyAndFormat) {
  for (const std::string& family : tiny_families()) {
    for (const DType dtype : {DType::f32, DType::bf16}) {
      const auto model = tiny_transformer(tiny_config(family), 1, dtype);
      for (const DecodeShape& shape : {DecodeShape{2, 1}, {3, 3}, {36, 7}}) {
        const double rate = measure_decode_rate(*model, model->ops().attend, shape);
        EXPECT_TRUE(std::isfinite(rate) && rate > 0.0) << family;
      }
    }
  }
}

TEST(EvalText, TakesTheFirstDocuments) {
  EXPECT_EQ(EvalText({}, 2).num_documents(), 2);
  EXPECT_GT(EvalText({}, 0).num_documents(), 20);
  EvalText eval({}, 1);
  EXPECT_TRUE(std::isnan(eval.perplexity(source_of(2, 1), DType::f32, Device::cpu))) << "no tokenizer";
  EXPECT_EQ(eval.num_tokens(), 0);
}

// The models that are shipped: trained on, they predict stories nearly as well as the one they were made from; just
// converted it hardly knows what a story is.
TEST(UptrainedModels, PredictNearlyAsWell) {
  const ModelSource source = open_model("", Device::cpu);
  const std::vector<Variant> variants = find_variants(source, {}, 0);
  ASSERT_EQ(variants.size(), 3u);
  EvalText eval({}, 1);
  const auto perplexity = [&](const ModelSource& model) { return eval.perplexity(model, DType::f32, Device::cpu); };
  const double all = perplexity(source);
  const double worse[] = {1.0, 1.2, 1.35};
  for (size_t i = 1; i < 3; ++i) {
    ASSERT_TRUE(variants[i].uptrained) << variants[i].origin;
    EXPECT_LT(perplexity(variants[i].source), worse[i] * all);
    EXPECT_GT(perplexity(converted(source, variants[i].source.config.num_kv_heads, Pooling::mean)), 3 * all);
  }
}

}  // namespace
}  // namespace llm
