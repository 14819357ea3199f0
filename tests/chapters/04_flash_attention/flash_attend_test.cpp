// Whole generations with flash attention: the words of chapter 1.
#include "chapters/04_flash_attention/flash_attend.h"

#include "chapters/01_naive_generation/naive_generation.h"
#include "chapters/02_kv_cache/cached_generation.h"
#include "chapters/02_kv_cache/contiguous_kv_cache.h"
#include "common/program/same_output.h"
#include "tests/support/gpu_device.h"
#include "tests/support/tiny_model.h"

namespace llm {
namespace {

class FlashAttend : public testing::TestWithParam<std::tuple<Device, DType>> {};

TEST_P(FlashAttend, SaysWhatChapterOneSays) {
  const auto [device, dtype] = GetParam();
  LLM_SKIP_WITHOUT(device);
  for (const std::string& family : tiny_families()) {
    SCOPED_TRACE(family);
    const ModelConfig config = tiny_config(family);
    SeededWeights weights(11);
    const Transformer model(config, weights, dtype, device);
    std::mt19937_64 random(5);
    const std::vector<int32_t> prompt = random_ids(random, 17, config.vocab_size);
    const GenerationParams params{device == Device::simt ? 3 : 20, true, {}};
    const Generation naive = generate_naive(model, prompt, params);
    ContiguousKvCache cache(config, 40, 1, dtype, device);
    const Generation flash = generate_cached(model, cache, flash_attend(device), prompt, params);
    const Comparison comparison =
        compare_outputs(naive.token_ids(), naive.top_gaps(), flash.token_ids(), near_tie(dtype));
    EXPECT_TRUE(comparison.same) << describe(comparison);
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, FlashAttend,
                         testing::Combine(testing::Values(Device::cpu, Device::simt, Device::cuda),
                                          testing::Values(DType::f32, DType::bf16)),
                         [](const auto& test) {
                           return std::string(name_of(std::get<0>(test.param))) + "_" +
                                  name_of(std::get<1>(test.param));
                         });

}  // namespace
}  // namespace llm
