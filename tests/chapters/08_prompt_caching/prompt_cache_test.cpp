// The rules of a service, on sequences that pass through a paged cache without a model.
#include "chapters/08_prompt_caching/prompt_cache.h"

#include <list>

#include "tests/chapters/08_prompt_caching/prefix_requests.h"
#include "tests/support/step.h"
#include "tests/support/tiny_model.h"

namespace llm {
namespace {

class PromptCaches : public testing::Test {
 protected:
  static constexpr int32_t kBlockSize = 4;

  // A service of these rules, with an empty cache.
  void start(const CacheRules& rules) {
    cache.reset();
    memory = std::make_unique<PagedKvCache>(config, PagedKvCacheSize{40, kBlockSize, 48, 8}, DType::f32);
    cache = std::make_unique<PromptCache>(*memory, rules, [this] { return now; });
  }
  void SetUp() override { start({}); }

  // What the scheduler does when it lets a sequence run.
  Sequence& admit(const Ids& prompt, const std::string& salt = "", const Ids& breakpoints = {}) {
    Request request{std::to_string(sequences.size()), prompt, {}};
    request.salt = salt;
    request.breakpoints = breakpoints;
    sequences.emplace_back(static_cast<int32_t>(sequences.size()), request, config);
    Sequence& sequence = sequences.back();
    sequence.num_cached_tokens = resume(sequence);
    return sequence;
  }
  // Returns how many tokens it finds.
  int32_t resume(Sequence& sequence) {
    const std::vector<int32_t> blocks = cache->match(sequence);
    memory->adopt(sequence.id, blocks);
    return sequence.num_computed_tokens = static_cast<int32_t>(blocks.size()) * kBlockSize;
  }
  void preempt(Sequence& sequence) {
    memory->release(sequence.id);
    sequence.num_computed_tokens = 0;
  }

  // Computes the next `count` known tokens, then `drafted` more that nobody knows yet.
  void compute(Sequence& sequence, int32_t count, int32_t drafted = 0) {
    ASSERT_TRUE(memory->begin_step(Step({{sequence.id, sequence.num_computed_tokens, count + drafted}})));
    sequence.num_computed_tokens += count + drafted;
    cache->record(sequence);
  }
  // All that is left of the prompt, and a first token.
  void prefill(Sequence& sequence) {
    ASSERT_TRUE(
        memory->begin_step(Step({{sequence.id, sequence.num_computed_tokens, sequence.num_uncomputed_tokens()}})));
    sequence.num_computed_tokens += sequence.num_uncomputed_tokens();
    sequence.generation.add({7, 1.0f}, 1);
    cache->record(sequence);
  }
  Sequence& serve(const Ids& prompt, const std::string& salt = "", const Ids& breakpoints = {}) {
    Sequence& sequence = admit(prompt, salt, breakpoints);
    prefill(sequence);
    memory->release(sequence.id);
    return sequence;
  }
  // How many tokens of it are cached now.
  int32_t cached(const Ids& prompt, const std::string& salt = "", const Ids& breakpoints = {}) {
    Request request{"", prompt, {}};
    request.salt = salt;
    request.breakpoints = breakpoints;
    return static_cast<int32_t>(cache->match(Sequence(1000, request, config)).size()) * kBlockSize;
  }

  const ModelConfig config = tiny_config("llama");
  double now = 1000.0;
  std::unique_ptr<PagedKvCache> memory;
  std::unique_ptr<PromptCache> cache;
  std::list<Sequence> sequences;
};

TEST_F(PromptCaches, ASecondRequestFindsTheFirstOnesPrompt) {
  const Sequence& first = serve(count_from(0, 22));
  EXPECT_EQ(first.num_cached_tokens, 0);
  const Sequence& second = serve(join(count_from(0, 18), count_from(100, 5)));
  EXPECT_EQ(second.num_cached_tokens, 16);
  const CacheUsage usage = cache->usage_of(first), again = cache->usage_of(second);
  EXPECT_EQ(usage.cached_tokens, 0);
  EXPECT_EQ(usage.written_tokens, 20);
  EXPECT_EQ(usage.fresh_tokens, 2) << "in a block that is not full";
  EXPECT_EQ(again.cached_tokens, 16);
  EXPECT_EQ(again.written_tokens, 4);
  EXPECT_EQ(again.fresh_tokens, 3);
  EXPECT_EQ(cached(count_from(0, 30), "tenant"), 0);
}

// A chat: the next turn's prompt goes on where the answer ended.
TEST_F(PromptCaches, AnAnswerIsCachedToo) {
  Sequence& first = admit(count_from(0, 6));
  prefill(first);
  for (int i = 0; i < 4; ++i) {
    compute(first, 1);
    first.generation.add({8, 1.0f}, 1);
  }
  EXPECT_EQ(cached(join(count_from(0, 6), {7, 8, 8, 8, 8, 50})), 8) << "10 tokens are computed";
}

TEST_F(PromptCaches, TimeToLive) {
  const Ids prompt = count_from(0, 20);
  serve(prompt);
  now += 299.9;
  EXPECT_EQ(cached(prompt), 16);
  now += 0.1;
  EXPECT_EQ(cached(prompt), 0);
  // Written again, read again: each reading starts the time anew.
  serve(prompt);
  for (int i = 0; i < 3; ++i) {
    now += 200.0;
    EXPECT_EQ(serve(prompt).num_cached_tokens, 16);
  }
  // Only of what was read.
  now += 200.0;
  serve(count_from(0, 9));
  now += 200.0;
  EXPECT_EQ(cached(prompt), 8);
  CacheRules an_hour;
  an_hour.ttl_seconds = 3600.0;
  start(an_hour);
  serve(prompt);
  now += 3599.0;
  EXPECT_EQ(cached(prompt), 16);
  now += 1.0;
  EXPECT_EQ(cached(prompt), 0);
}

TEST_F(PromptCaches, WhatIsTooShortIsNotCached) {
  CacheRules rules;
  rules.min_tokens = 12;
  start(rules);
  const Sequence& shorter = serve(count_from(0, 11));
  EXPECT_TRUE(cache->is_too_short(shorter));
  EXPECT_EQ(cache->usage_of(shorter).fresh_tokens, 11);
  EXPECT_EQ(cache->prefixes().num_known(), 0);
  const Sequence& longer = serve(count_from(0, 12));
  EXPECT_FALSE(cache->is_too_short(longer));
  EXPECT_EQ(cache->usage_of(longer).written_tokens, 12);
  EXPECT_EQ(cached(count_from(0, 11)), 0) << "nor does it read what a longer one wrote";
  EXPECT_EQ(cached(count_from(0, 13)), 12);
}

// While a prompt is computed chunk by chunk, nobody else sees it.
TEST_F(PromptCaches, VisibleAfterItsWritersFirstToken) {
  const Ids prompt = count_from(0, 22);
  Sequence& writer = admit(prompt);
  compute(writer, 9);
  EXPECT_EQ(cache->prefixes().num_known(), 2);
  EXPECT_EQ(cached(prompt), 0);
  Sequence& twin = admit(prompt);
  EXPECT_EQ(twin.num_cached_tokens, 0) << "concurrent twins both miss";
  prefill(writer);
  EXPECT_EQ(cached(prompt), 20);
  prefill(twin);
  EXPECT_EQ(cache->prefixes().num_known(), 10);
  CacheRules at_once;
  at_once.after_first_token = false;
  start(at_once);
  compute(admit(prompt), 9);
  EXPECT_EQ(cached(prompt), 8);
}

TEST_F(PromptCaches, APreemptedRequestFindsItsOwnBlocks) {
  Sequence& writer = admit(count_from(0, 22));
  compute(writer, 18);
  preempt(writer);
  EXPECT_EQ(cached(count_from(0, 22)), 0) << "not yet for others";
  EXPECT_EQ(resume(writer), 16);
  prefill(writer);
  compute(writer, 1);
  writer.generation.add({9, 1.0f}, 1);
  preempt(writer);
  EXPECT_EQ(resume(writer), 20) << "23 are known, 22 were computed before";
  EXPECT_EQ(cache->usage_of(writer).cached_tokens, 0) << "its own blocks are no gift";
}

// A block full of drafted tokens is no block of the text.
TEST_F(PromptCaches, DraftedTokensAreNeverHashed) {
  Sequence& sequence = admit(count_from(0, 10));
  prefill(sequence);  // knows 11 tokens, 10 are computed
  compute(sequence, 1, 6);
  EXPECT_EQ(sequence.num_computed_tokens, 17);
  EXPECT_EQ(cache->prefixes().num_known(), 2) << "11 known tokens fill two blocks";
}

TEST_F(PromptCaches, Breakpoints) {
  CacheRules rules;
  rules.automatic = false;
  start(rules);
  const Ids tools = count_from(0, 9), system = count_from(20, 8), question = count_from(40, 10);
  const Ids prompt = join(join(tools, system), question);  // 27 tokens
  EXPECT_TRUE(cache->is_too_short(serve(prompt)));
  EXPECT_EQ(cached(prompt, "", {9, 17}), 0) << "none had a breakpoint before";
  const Sequence& first = serve(prompt, "", {9, 17});
  EXPECT_EQ(cache->usage_of(first).written_tokens, 16) << "up to the last breakpoint, in full blocks";
  EXPECT_EQ(cache->usage_of(first).fresh_tokens, 11);
  EXPECT_EQ(cached(prompt, "", {9, 17}), 16);
  EXPECT_EQ(cached(prompt, "", {9}), 8) << "no further than its own last breakpoint";
  EXPECT_EQ(cached(prompt, "", {20}), 16) << "but what was written before an earlier one";
  // Another system prompt: 12 tokens in full blocks are alike, and the hit ends where a breakpoint was.
  const Ids other = join(join(tools, {20, 21, 22, 99, 98}), question);
  EXPECT_EQ(cached(other, "", {9, 14}), 8);
  // A breakpoint of a prefix that is too short is passed over.
  rules.min_tokens = 10;
  start(rules);
  serve(prompt, "", {9, 17});
  EXPECT_EQ(cached(other, "", {9, 14}), 0);
  EXPECT_EQ(cached(prompt, "", {9, 17}), 16);
  EXPECT_EQ(cached(prompt, "", {9}), 0);
}

}  // namespace
}  // namespace llm
