// Verification alone, in steps that somebody else puts together: chunks of prompts beside drafts of several lengths.
#include "chapters/06_speculative_decoding/verifier.h"

#include <gtest/gtest.h>

#include "tests/chapters/06_speculative_decoding/speculative_testing.h"
#include "tests/common/ops/ops_testing.h"
#include "tests/support/gpu_device.h"

namespace llm {
namespace {

class VerifierOnDevice : public testing::TestWithParam<Device> {};

// Greedy, sampled, with and without drafts, in one step; each as if it were alone.
TEST_P(VerifierOnDevice, EachSequenceAsIfAlone) {
  const Device device = GetParam();
  LLM_SKIP_WITHOUT(device);
  constexpr int64_t kVocab = 131;
  const Tensor logits = random_tensor({11, kVocab}, 5);
  for (int64_t i = 0; i < logits.view().numel(); ++i) logits.view().as<float>()[i] *= 4.0f;
  const auto likeliest = [&](int64_t row) {
    return argmax({logits.view().as<float>() + row * kVocab, static_cast<size_t>(kVocab)});
  };
  const SamplingParams warm{.temperature = 0.9, .top_k = 20, .top_p = 0.9, .min_p = 0.0, .seed = 7};
  const std::vector<Draft> drafts = {{{likeliest(0), likeliest(1), 3}, {}},  // rows 0 to 3
                                     {},                                     // row 4
                                     {{likeliest(5), likeliest(6)}, {}},     // rows 5 to 7, sampled
                                     {},                                     // row 8, sampled
                                     {{likeliest(9)}, {}}};                  // rows 9 and 10
  Sampler greedy({}), sampled(warm), plain(warm);
  Verifier verifier(11, device);
  const std::vector<Drafted> step = {
      {drafts[0], greedy}, {drafts[1], greedy}, {drafts[2], sampled}, {drafts[3], plain}, {drafts[4], greedy}};
  const std::vector<std::vector<TopToken>> accepted = verifier.verify(to_device(logits, device), step);
  ASSERT_EQ(accepted.size(), 5u);
  const auto ids = [&](size_t i) {
    Ids ids;
    for (const TopToken& token : accepted[i]) ids.push_back(token.id);
    return ids;
  };
  EXPECT_EQ(ids(0), (Ids{likeliest(0), likeliest(1), likeliest(2)})) << "the third was another";
  EXPECT_EQ(ids(1), Ids{likeliest(4)});
  EXPECT_EQ(ids(4), (Ids{likeliest(9), likeliest(10)}));
  Sampler again(warm), plain_again(warm);
  const std::vector<TopToken> alone = accept_sampled(logits.view().rows(5, 8), drafts[2], again);
  ASSERT_EQ(accepted[2].size(), alone.size());
  for (size_t i = 0; i < alone.size(); ++i) EXPECT_EQ(accepted[2][i].id, alone[i].id);
  EXPECT_EQ(ids(3), Ids{plain_again.sample(logits.view().rows(8, 9)).id}) << "as without speculation";
}

INSTANTIATE_TEST_SUITE_P(Devices, VerifierOnDevice, testing::Values(Device::cpu, Device::simt, Device::cuda),
                         [](const auto& test) { return std::string(name_of(test.param)); });

// As chapter 7's scheduler will: a chunk of a prompt that is not its last, one that is, and two drafts.
TEST(Verifier, DraftsBesideChunksOfPrompts) {
  const Threads one(1);
  const auto model = tiny_transformer(tiny_config("llama"), 41);
  std::mt19937_64 random(2);
  const Ids prompts[] = {random_ids(random, 9, 131), random_ids(random, 5, 131), random_ids(random, 3, 131),
                         random_ids(random, 4, 131)};
  std::vector<Ids> naive;
  for (const Ids& prompt : prompts) {
    naive.push_back(generate_naive(*model, prompt, {.max_tokens = 6, .ignore_eos = true, .sampling = {}}).token_ids());
  }
  ContiguousKvCache memory(model->config(), 48, 4, DType::f32);
  Batch batch(100, 4);
  StepRunner runner(*model, model->ops().attend);
  batch.add(2, prompts[2], 0, LogitRows::none);
  batch.add(3, prompts[3], 0, LogitRows::none);
  ASSERT_TRUE(memory.begin_step(batch));
  runner.run(batch, memory);

  // Sequence 2 was fed its prompt and said naive[2][0]; 3 likewise.
  const Draft right{{naive[2][1], naive[2][2], naive[2][3]}, {}}, wrong{{naive[3][1], (naive[3][2] + 1) % 131}, {}},
      none;
  batch.clear();
  batch.add(0, std::span(prompts[0]).first(6), 0, LogitRows::none);
  batch.add(2, Ids{naive[2][0], right.tokens[0], right.tokens[1], right.tokens[2]}, 3, LogitRows::all);
  batch.add(1, prompts[1], 0, LogitRows::last);
  batch.add(3, Ids{naive[3][0], wrong.tokens[0], wrong.tokens[1]}, 4, LogitRows::all);
  ASSERT_TRUE(memory.begin_step(batch));
  Sampler greedy({});
  Verifier verifier(100, Device::cpu);
  const std::vector<Drafted> drafted = {{right, greedy}, {none, greedy}, {wrong, greedy}};
  const auto accepted = verifier.verify(runner.run(batch, memory), drafted);
  const auto expect = [&](size_t i, std::span<const int32_t> expected) {
    ASSERT_EQ(accepted[i].size(), expected.size());
    for (size_t t = 0; t < expected.size(); ++t) EXPECT_EQ(accepted[i][t].id, expected[t]);
  };
  expect(0, std::span(naive[2]).subspan(1, 4));
  expect(1, std::span(naive[1]).first(1));
  expect(2, std::span(naive[3]).subspan(1, 2));
}

}  // namespace
}  // namespace llm
