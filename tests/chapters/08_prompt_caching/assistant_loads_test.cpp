#include "chapters/08_prompt_caching/assistant_loads.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/support/tiny_model.h"

namespace llm {
namespace {

using Ids = std::vector<int32_t>;

// The stories' tokenizer with a model of no size, and a model without a tokenizer.
std::vector<LoadedModel> some_models() {
  ModelConfig config = tiny_config("llama");
  const auto without = tiny_transformer(config, 1);
  config.vocab_size = 2048;
  return {{"tiny", tiny_transformer(config, 1), std::make_shared<Tokenizer>(Tokenizer::load("models/stories"))},
          {"random", without, nullptr}};
}

TEST(AssistantLoads, WriteAsManyTokensAsAreAskedFor) {
  for (const LoadedModel& model : some_models()) {
    for (const size_t count : {1, 2, 31, 448}) {
      for (const Sentences kind : {Sentences::rules, Sentences::tools, Sentences::examples, Sentences::questions}) {
        const Ids ids = write_tokens(model, kind, count, 7, true);
        EXPECT_EQ(ids.size(), count);
        check_token_ids(model, ids, "the load");
        EXPECT_EQ(write_tokens(model, kind, count, 7, true), ids) << "the same at every run";
      }
    }
    EXPECT_NE(write_tokens(model, Sentences::rules, 20, 7, true), write_tokens(model, Sentences::rules, 20, 8, true));
  }
  const LoadedModel stories = some_models()[0];
  std::set<Ids> beginnings;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    beginnings.insert(write_tokens(stories, Sentences::rules, 8, seed, true));
  }
  EXPECT_EQ(beginnings.size(), 100u) << "not even half a block is alike";
  EXPECT_EQ(write_tokens(stories, Sentences::rules, 3, 7, true)[0], 0) << "begins as every text does";
  EXPECT_NE(write_tokens(stories, Sentences::rules, 3, 7, false)[0], 0);
}

TEST(AssistantLoads, BeginAlikeOrNot) {
  for (const LoadedModel& model : some_models()) {
    for (const int32_t max_length : {40, 97, 512}) {
      const std::vector<AssistantLoad> loads = make_assistant_loads(model, max_length);
      ASSERT_EQ(loads.size(), 5u);
      for (const AssistantLoad& load : loads) {
        std::set<Ids> prefixes, messages;
        size_t num_messages = 0;
        for (size_t c = 0; c < load.conversations.size(); ++c) {
          const Conversation& conversation = load.conversations[c];
          prefixes.insert(conversation.prefix);
          messages.insert(conversation.messages.begin(), conversation.messages.end());
          num_messages += conversation.messages.size();
          std::vector<Ids> answers(conversation.messages.size() - 1, Ids(static_cast<size_t>(load.answer_tokens), 5));
          EXPECT_LE(std::ssize(load.next_prompt(c, answers)) + load.answer_tokens, max_length) << load.name;
        }
        EXPECT_EQ(prefixes.size(), load.name == "nothing in common" ? load.conversations.size() : 1) << load.name;
        if (max_length == 512) {
          EXPECT_EQ(messages.size(), num_messages) << load.name;
        }
      }
    }
  }
}

TEST(AssistantLoads, ATurnsPromptIsAllThatWasSaid) {
  AssistantLoad load{"chat", {{{1, 2}, {{3}, {4, 5}, {6}}}}, 2};
  EXPECT_EQ(load.next_prompt(0, {}), (Ids{1, 2, 3}));
  EXPECT_EQ(load.next_prompt(0, {{10, 11}}), (Ids{1, 2, 3, 10, 11, 4, 5}));
  EXPECT_EQ(load.next_prompt(0, {{10, 11}, {12}}), (Ids{1, 2, 3, 10, 11, 4, 5, 12, 6}));
}

}  // namespace
}  // namespace llm
