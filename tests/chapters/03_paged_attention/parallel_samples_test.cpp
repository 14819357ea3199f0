#include "chapters/03_paged_attention/parallel_samples.h"

#include <gtest/gtest.h>

#include "chapters/01_naive_generation/naive_generation.h"
#include "tests/common/ops/ops_testing.h"
#include "tests/support/tiny_model.h"

namespace llm {
namespace {

using Ids = std::vector<int32_t>;

// Each sample is what chapter 1 says with the sample's own seed, to the last bit; blocks and copies are as counted.
TEST(ParallelSamples, EachIsAsIfItWereAlone) {
  const Threads one(1);  // the texts are short
  for (const std::string& family : tiny_families()) {
    ModelConfig config = tiny_config(family);
    config.eos_token_ids = {2, 30, 57, 84};  // so that some end early
    for (const DType dtype : {DType::f32, DType::bf16}) {
      const auto model = tiny_transformer(config, 4, dtype);
      std::mt19937_64 random(6);
      for (const int64_t prompt_len : {1, 16, 17}) {
        for (const int num_samples : {1, 2, 5}) {
          const testing::ScopedTrace trace(__FILE__, __LINE__, fmt::format("{}, prompt {}", family, prompt_len));
          const Ids prompt = random_ids(random, prompt_len, config.vocab_size);
          GenerationParams params{.max_tokens = 12, .ignore_eos = false, .sampling = {}};
          params.sampling = {.temperature = 1.2, .top_k = 0, .top_p = 0.95, .min_p = 0.0, .seed = 90};
          PagedKvCache cache(config, {40, 8, config.context_length, num_samples}, dtype);
          const std::vector<Text> samples = generate_samples(*model, cache, prompt, params, num_samples);
          ASSERT_EQ(samples.size(), static_cast<size_t>(num_samples));
          std::vector<int64_t> lengths;
          for (const Text& sample : samples) {
            const Generation naive = generate_naive(*model, prompt, params);
            ASSERT_EQ(sample.generation.token_ids(), naive.token_ids());
            ASSERT_EQ(sample.generation.top_gaps(), naive.top_gaps());
            ASSERT_EQ(cache.length(sample.id), std::ssize(naive.all()) - 1);
            lengths.push_back(cache.length(sample.id));
            ++params.sampling.seed;
          }
          EXPECT_EQ(cache.pool().num_used(), count_shared_blocks(prompt_len, lengths, 8));
          EXPECT_EQ(cache.blocks_copied(), count_copied_blocks(prompt_len, lengths, 8));
          for (const Text& sample : samples) cache.release(sample.id);
          EXPECT_EQ(cache.pool().num_used(), 0);
        }
      }
    }
  }
}

TEST(ParallelSamples, CountsByHand) {
  // A prompt of 20 tokens in blocks of 8: two full blocks, and one that three of the four samples copy.
  EXPECT_EQ(count_shared_blocks(20, {25, 24, 33, 21}, 8), 2 + 2 + 1 + 3 + 1);
  EXPECT_EQ(count_copied_blocks(20, {25, 24, 33, 21}, 8), 3);
  EXPECT_EQ(count_shared_blocks(16, {17, 17}, 8), 2 + 1 + 1) << "ends with its block: nothing to copy";
  EXPECT_EQ(count_copied_blocks(16, {17, 17}, 8), 0);
  EXPECT_EQ(count_shared_blocks(20, {20, 20, 21}, 8), 2 + 1 + 1) << "two ended before they wrote";
  EXPECT_EQ(count_copied_blocks(20, {20, 20, 21}, 8), 1);
  EXPECT_EQ(count_shared_blocks(20, {20}, 8), 3);
  EXPECT_EQ(count_copied_blocks(20, {30}, 8), 0) << "nobody to share with";
}

TEST(ParallelSamples, TheTableAsItStands) {
  const ModelConfig config = tiny_config("llama");
  PagedKvCache cache(config, {60, 2, 48, 2}, DType::f32);
  std::vector<Text> sequences;
  for (int32_t id = 0; id < 2; ++id) sequences.push_back({id, Generation({1}, config, {})});
  ASSERT_TRUE(cache.allocate(0, 1));
  Batch batch(40, 1);
  batch.add(0, Ids(3), 0, LogitRows::none);
  ASSERT_TRUE(cache.begin_step(batch));
  cache.fork(0, 1);
  ASSERT_TRUE(cache.allocate(1, 1));
  sequences[0].num_computed_tokens = sequences[1].num_computed_tokens = 3;
  EXPECT_EQ(draw_block_tables(cache, sequences), "  sequence 0, 3 tokens: 0×2 1\n  sequence 1, 3 tokens: 0×2 2\n");
}

}  // namespace
}  // namespace llm
