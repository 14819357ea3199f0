// What drafters draft.
#include <gtest/gtest.h>

#include "chapters/06_speculative_decoding/shared_vocabulary.h"
#include "tests/chapters/06_speculative_decoding/speculative_testing.h"
#include "tests/support/sentence_of.h"
#include "tests/support/temporary_folder.h"

namespace llm {
namespace {

TEST(NgramDrafter, LongestFirstThenTheEarliest) {
  EXPECT_EQ(look_up(Ids{1, 2, 3, 4, 1, 2}, 3, 4), (Ids{3, 4, 1, 2})) << "after 1 2";
  EXPECT_EQ(look_up(Ids{5, 2, 9, 1, 2, 3, 8, 1, 2}, 3, 1), Ids{3}) << "1 2 is longer than 2";
  EXPECT_EQ(look_up(Ids{5, 2, 9, 1, 2, 3, 8, 1, 2}, 1, 1), Ids{9}) << "2 alone, where it first was";
  EXPECT_EQ(look_up(Ids{1, 2, 3, 1, 2, 4, 1, 2}, 2, 1), Ids{3}) << "the earlier of two";
  EXPECT_EQ(look_up(Ids{1, 2, 3}, 3, 4), Ids{}) << "nothing was there before";
  EXPECT_EQ(look_up(Ids{7}, 3, 4), Ids{});
  EXPECT_EQ(look_up(Ids{}, 3, 4), Ids{});
  EXPECT_EQ(look_up(Ids{7, 7}, 3, 4), Ids{7}) << "as far as the text goes";
  EXPECT_EQ(look_up(Ids{1, 2, 1}, 3, 9), (Ids{2, 1}));
  EXPECT_EQ(look_up(Ids{1, 2, 1}, 3, 0), Ids{});
  EXPECT_EQ(look_up(Ids{1, 2, 1}, 0, 4), Ids{}) << "no lookup at all";
  EXPECT_EQ(look_up(Ids{1, 2, 3, 1, 2, 3}, 9, 2), (Ids{1, 2})) << "n is at most one less than the text";
}

TEST(ScriptedDrafter, IsRightAsOftenAsAsked) {
  Ids script(10'000);
  for (size_t i = 0; i < script.size(); ++i) script[i] = static_cast<int32_t>(i % 5);
  Sampler sampler({});
  for (const double acceptance : {0.0, 0.7, 1.0}) {
    ScriptedDrafter drafter({{3, script}}, acceptance, 5);
    const DraftRequest request{3, std::span(script).first(2), 20'000, sampler};
    const Draft draft = drafter.draft({&request, 1}).front();
    ASSERT_EQ(draft.tokens.size(), script.size() - 2) << "to the script's end";
    double right = 0.0;
    for (size_t i = 0; i < draft.tokens.size(); ++i) right += draft.tokens[i] == script[i + 2];
    EXPECT_NEAR(right / static_cast<double>(draft.tokens.size()), acceptance, 0.02);
  }
}

// A draft is what the draft model says alone, whatever was fed and taken back before.
TEST(ModelDrafter, DraftsWhatTheModelSays) {
  const auto model = tiny_transformer(tiny_config("qwen2"), 5);
  const auto memory = make_memory(*model, 0, 2);
  ModelDrafter drafter(*model, *memory, model->ops().attend, 48, 2, 1);
  std::mt19937_64 random(1);
  Ids context = random_ids(random, 5, 131);
  Sampler greedy({});
  for (int round = 0; round < 8; ++round) {
    const int k = 1 + round % 4;
    const DraftRequest request{1, context, k, greedy};
    const Draft draft = drafter.draft({&request, 1}).front();
    ASSERT_EQ(draft.tokens, generate_naive(*model, context, {k, true, {}}).token_ids()) << "round " << round;
    EXPECT_TRUE(draft.q.empty());
    EXPECT_EQ(drafter.length(1), std::ssize(context) + k - 1) << "the last drafted token was not fed";
    const auto accepted = static_cast<size_t>(round) % (draft.tokens.size() + 1);
    context.insert(context.end(), draft.tokens.begin(), draft.tokens.begin() + static_cast<ptrdiff_t>(accepted));
    drafter.truncate(1, static_cast<int32_t>(context.size()));
    context.push_back(static_cast<int32_t>(random() % 131));
  }
  drafter.release(1);
  EXPECT_EQ(drafter.length(1), 0);
}

TEST(ModelDrafter, DrawsFromTheQThatItTells) {
  const auto model = tiny_transformer(tiny_config("llama"), 6);
  const Ids context = {3, 4, 5};
  const SamplingParams params{.temperature = 1.3, .top_k = 9, .top_p = 0.9, .min_p = 0.01, .seed = 4};
  for (int repetition = 0; repetition < 20; ++repetition) {
    const auto memory = make_memory(*model, 4, 1);
    ModelDrafter drafter(*model, *memory, model->ops().attend, 48, 1, 1);
    Sampler sampler({params.temperature, params.top_k, params.top_p, params.min_p, static_cast<uint64_t>(repetition)});
    const DraftRequest request{0, context, 3, sampler};
    const Draft draft = drafter.draft({&request, 1}).front();
    ASSERT_EQ(draft.q.size(), 3u);
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_GT(draft.q[i][static_cast<size_t>(draft.tokens[i])], 0.0);
      EXPECT_LE(std::ranges::count_if(draft.q[i], [](double q) { return q > 0.0; }), 9);
    }
  }
}

// Where the draft model can see no further, or its memory is full, drafts end early and nothing else.
TEST(ModelDrafter, EndsWhereThereIsNoRoom) {
  ModelConfig config = tiny_config("llama");
  config.context_length = 7;
  const auto model = tiny_transformer(config, 6);
  Sampler greedy({});
  const Ids context = {1, 2, 3, 4, 5}, longer = {1, 2, 3, 4, 5, 6, 7, 8};
  const auto memory = make_memory(*model, 0, 2);
  ModelDrafter drafter(*model, *memory, model->ops().attend, 48, 2, 1);
  const DraftRequest requests[] = {{0, context, 8, greedy}, {1, longer, 8, greedy}};
  const std::vector<Draft> drafts = drafter.draft(requests);
  EXPECT_EQ(drafts[0].tokens.size(), 3u) << "the tokens at 5, 6 and, never fed, 7";
  EXPECT_TRUE(drafts[1].tokens.empty());

  PagedKvCache small(config, {3, 2, 7, 2}, DType::f32);
  ModelDrafter cramped(*model, small, model->ops().attend, 48, 2, 1);
  const DraftRequest request{0, context, 8, greedy};
  EXPECT_EQ(cramped.draft({&request, 1}).front().tokens.size(), 2u) << "six slots";
  const DraftRequest other{1, context, 8, greedy};
  EXPECT_TRUE(cramped.draft({&other, 1}).front().tokens.empty()) << "no block is left";
}

TEST(SharedVocabulary, AnythingElseIsRefused) {
  ModelConfig config = tiny_config("llama");
  config.vocab_size = 512;
  const std::filesystem::path folder = temporary_folder();
  write_tiny_model(folder / "target", config, 1, "gpt2");
  write_tiny_model(folder / "draft", config, 2, "gpt2");
  write_tiny_model(folder / "other", config, 2, "llama3");
  config.vocab_size = 511;
  write_tiny_model(folder / "smaller", config, 2, "gpt2");
  const auto load = [&](const char* name) { return load_model(folder / name, DType::f32, Device::cpu); };
  const LoadedModel target = load("target");
  EXPECT_SENTENCE(check_shared_vocabulary(target, load("draft")), "(no error)");
  EXPECT_SENTENCE(check_shared_vocabulary(target, load("smaller")),
                  fmt::format("--draft-model {} has 511 token ids, but {} has 512; give a draft model with the same "
                              "vocabulary",
                              (folder / "smaller").string(), target.name));
  const std::string sentence = sentence_of([&] { check_shared_vocabulary(target, load("other")); });
  EXPECT_NE(sentence.find("give a draft model with the same vocabulary"), std::string::npos) << sentence;
}

}  // namespace
}  // namespace llm
