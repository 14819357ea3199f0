// Whole sampled texts, model and caches and all: each place follows the target's own distribution.
#include <gtest/gtest.h>

#include <numeric>

#include "tests/chapters/06_speculative_decoding/speculative_testing.h"
#include "tests/common/ops/ops_testing.h"
#include "tests/support/chi_square.h"
#include "tests/support/logits.h"

namespace llm {
namespace {

constexpr int kVocabSize = 10, kPlaces = 3, kTexts = 6000, kAtOnce = 60;

// [place][10^(place + 1)] how likely the target makes each beginning.
std::vector<std::vector<double>> target_distribution(const Transformer& model, const Ids& prompt,
                                                     const SamplingParams& params) {
  std::vector<std::vector<double>> places = {{1.0}};
  for (int place = 0; place < kPlaces; ++place) {
    const std::vector<double>& before = places.back();
    std::vector<double> now;
    ForgetfulMemory memory(model.config(), 16 * std::ssize(before), std::ssize(before), DType::f32);
    Batch batch(16 * std::ssize(before), std::ssize(before));
    for (int32_t beginning = 0; beginning < std::ssize(before); ++beginning) {
      Ids ids = prompt;
      for (int32_t divisor = static_cast<int32_t>(std::ssize(before)) / kVocabSize; divisor > 0;
           divisor /= kVocabSize) {
        ids.push_back(beginning / divisor % kVocabSize);
      }
      batch.add(beginning, ids, 0, LogitRows::last);
    }
    const Rows rows = forward(model, memory, batch);
    for (size_t i = 0; i < before.size(); ++i) {
      for (const double p : token_distribution(rows[i], params)) now.push_back(before[i] * p);
    }
    places.push_back(now);
  }
  places.erase(places.begin());
  return places;
}

TEST(SampledGeneration, EveryPlaceFollowsTheTarget) {
  const Threads one(1);
  ModelConfig config = tiny_config("llama");
  config.vocab_size = kVocabSize;
  config.num_layers = 1;
  const auto model = tiny_transformer(config, 31);
  const auto draft = noisy_transformer(config, 31, 0.5f);
  const Ids prompt = {3, 1, 4};
  const SamplingParams sampling{.temperature = 1.4, .top_k = 9, .top_p = 0.97, .min_p = 0.0, .seed = 0};
  const auto memory = make_memory(*model, 4, kAtOnce), draft_memory = make_memory(*draft, 0, kAtOnce);
  ModelDrafter drafter(*draft, *draft_memory, draft->ops().attend, 6 * kAtOnce, kAtOnce, 1);
  SpeculativeGeneration speculative(*model, *memory, model->ops().attend, drafter, 6 * kAtOnce, kAtOnce);

  std::vector<std::vector<int64_t>> counts = {std::vector<int64_t>(10), std::vector<int64_t>(100),
                                              std::vector<int64_t>(1000)};
  int64_t accepted = 0, rejected = 0;
  for (int first = 0; first < kTexts; first += kAtOnce) {
    std::vector<SpeculativeSequence> texts;
    std::vector<SpeculativeSequence*> running;
    texts.reserve(kAtOnce);
    for (int32_t id = 0; id < kAtOnce; ++id) {
      GenerationParams params{.max_tokens = 6, .ignore_eos = true, .sampling = sampling};
      params.sampling.seed = static_cast<uint64_t>(first + id);
      texts.push_back({{id, Generation(prompt, config, params)}, 2});
      running.push_back(&texts.back());
    }
    while (!running.empty()) {
      ASSERT_TRUE(speculative.step(running));
      std::erase_if(running, [](const SpeculativeSequence* text) { return text->generation.finished(); });
    }
    for (const SpeculativeSequence& text : texts) {
      int32_t beginning = 0;
      for (size_t place = 0; place < kPlaces; ++place) {
        beginning = beginning * kVocabSize + text.generation.token_ids()[place];
        ++counts[place][static_cast<size_t>(beginning)];
      }
      const RoundCounts rounds = count_rounds(text.rounds);
      accepted += rounds.accepted;
      rejected += rounds.drafted - rounds.accepted;
      memory->release(text.id);
      drafter.release(text.id);
    }
  }
  EXPECT_GT(accepted, kTexts / 4);
  EXPECT_GT(rejected, kTexts / 4);

  // The first token is the prompt's, by ordinary sampling; the others come from drafts. Rare beginnings are gathered,
  // since the test needs a handful of each.
  const std::vector<std::vector<double>> expected = target_distribution(*model, prompt, sampling);
  for (size_t place = 0; place < kPlaces; ++place) {
    std::vector<double> p = {0.0};
    std::vector<int64_t> n = {0};
    for (size_t i = 0; i < expected[place].size(); ++i) {
      EXPECT_TRUE(expected[place][i] > 0.0 || counts[place][i] == 0) << "impossible";
      if (expected[place][i] * kTexts < 8.0) {
        p[0] += expected[place][i];
        n[0] += counts[place][i];
      } else {
        p.push_back(expected[place][i]);
        n.push_back(counts[place][i]);
      }
    }
    EXPECT_LT(chi_square(n, p, kTexts), chi_square_limit(p)) << "place " << place << ", " << p.size() << " cells";
  }
}

}  // namespace
}  // namespace llm
