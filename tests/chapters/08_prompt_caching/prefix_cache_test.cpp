#include "chapters/08_prompt_caching/prefix_cache.h"

#include <set>
#include <stdexcept>

#include "tests/chapters/08_prompt_caching/prefix_requests.h"

namespace llm {
namespace {

TEST(PrefixCache, OnlyFullBlocksAreKnown) {
  PrefixRequests requests(8);
  const Ids tokens = count_from(0, 55), blocks = requests.admit(tokens);
  ASSERT_EQ(blocks.size(), 4u);
  EXPECT_EQ(requests.cache.record(tokens, blocks, ""), 0u);
  EXPECT_EQ(requests.cache.num_known(), 3);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(requests.cache.is_known(blocks[static_cast<size_t>(i)]));
  EXPECT_FALSE(requests.cache.is_known(blocks[3]));
  // Nine tokens later it is full.
  EXPECT_EQ(requests.cache.record(count_from(0, 64), blocks, ""), 3u);
  EXPECT_TRUE(requests.cache.is_known(blocks[3]));
}

TEST(PrefixCache, ASecondRequestSharesTheBeginning) {
  PrefixRequests requests(8);
  const Ids first = count_from(0, 55), blocks = requests.admit(first);
  requests.cache.record(first, blocks, "");
  const Ids second = requests.admit(join(count_from(0, 48), count_from(500, 7)));
  EXPECT_EQ(requests.num_hits, 3u) << "48 tokens";
  EXPECT_EQ(second.size(), 4u);
  EXPECT_EQ(Ids(second.begin(), second.begin() + 3), Ids(blocks.begin(), blocks.begin() + 3));
  EXPECT_NE(second[3], blocks[3]);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(requests.pool.ref_count(blocks[i]), 2);
  EXPECT_EQ(requests.pool.ref_count(second[3]), 1);
  EXPECT_EQ(requests.pool.num_used(), 5) << "one new block";
}

TEST(PrefixCache, AHitEndsWithABlock) {
  PrefixRequests requests(20, 4);
  requests.serve(count_from(0, 15));
  requests.admit(join(count_from(0, 10), count_from(100, 5)));
  EXPECT_EQ(requests.num_hits, 2u) << "10 tokens are alike, 8 of them in full blocks";
  EXPECT_EQ(requests.hits(join({99}, count_from(1, 14))), 0u) << "one token at the start";
  EXPECT_EQ(requests.hits({}), 0u);
  EXPECT_EQ(requests.hits(count_from(0, 3)), 0u);
}

// There are no logits without a token that is computed.
TEST(PrefixCache, AtLeastOneTokenIsComputed) {
  PrefixRequests requests(8);
  const Ids tokens = count_from(0, 32), blocks = requests.serve(tokens);
  EXPECT_EQ(requests.hits(tokens), 1u);
  EXPECT_EQ(requests.hits(join(tokens, {7})), 2u);
  const Ids again = requests.serve(tokens);
  EXPECT_EQ(again[0], blocks[0]);
  EXPECT_NE(again[1], blocks[1]) << "computed once more, to a block of its own";
  EXPECT_EQ(requests.cache.num_known(), 3);
}

TEST(PrefixCache, EqualBlocksAtAnotherDepthAreOthers) {
  PrefixRequests requests(8, 4);
  const Ids part = {5, 6, 7, 8};
  requests.serve(join(join(part, part), {1}));
  EXPECT_EQ(requests.cache.num_known(), 2);
  EXPECT_EQ(requests.hits(join(part, {1})), 1u);
  EXPECT_EQ(requests.hits(join(join(part, part), join(part, {1}))), 2u) << "nobody had it three times";
  EXPECT_EQ(requests.hits(join({1, 2, 3, 4}, join(part, {1}))), 0u);
}

TEST(PrefixCache, ASaltKeepsTenantsApart) {
  PrefixRequests requests(8);
  const Ids tokens = count_from(0, 40);
  requests.serve(tokens, "red");
  EXPECT_EQ(requests.hits(tokens, "red"), 2u);
  EXPECT_EQ(requests.hits(tokens, "blue"), 0u);
  EXPECT_EQ(requests.hits(tokens, ""), 0u);
}

// With one hash for all blocks everything collides, and nothing is confused.
TEST(PrefixCache, ACollisionIsAMiss) {
  PrefixRequests requests(20, 4, [](uint64_t, std::span<const int32_t>, std::string_view) -> uint64_t { return 7; });
  const Ids part = {5, 6, 7, 8}, other = {1, 2, 3, 4};
  const Ids first = requests.serve(join(join(part, other), {9}), "red");
  EXPECT_EQ(requests.hits(join(other, {9}), "red"), 0u) << "its parent is another one";
  EXPECT_EQ(requests.hits(join(join(part, part), {9}), "red"), 1u) << "its tokens are others";
  EXPECT_EQ(requests.hits(join(part, {9}), "blue"), 0u) << "its salt is another one";
  const Ids second = requests.serve(join(join(other, other), {9}), "red");
  EXPECT_EQ(requests.cache.match(join(join(part, other), {9}), "red"), Ids(first.begin(), first.begin() + 2));
  EXPECT_EQ(requests.cache.match(join(join(other, other), {9}), "red"), Ids(second.begin(), second.begin() + 2));
  while (requests.pool.allocate()) {
  }
  EXPECT_EQ(requests.cache.num_known(), 0) << "each is forgotten by its own name";
}

// A parent that was forgotten and is known again, in whatever block, is the same prefix or none.
TEST(PrefixCache, AParentsBlockMayHoldAnotherLater) {
  PrefixRequests requests(3, 4, [](uint64_t, std::span<const int32_t>, std::string_view) -> uint64_t { return 7; });
  const Ids a = {1, 1, 1, 1}, b = {2, 2, 2, 2}, c = {3, 3, 3, 3};
  requests.serve(join(join(a, b), {9}));  // blocks 0, 1 and, not full, 2
  requests.serve(join(c, {9}));           // takes blocks 2 and 1, and forgets b
  requests.serve(join(a, {9}));
  EXPECT_EQ(requests.hits(join(join(c, b), {9})), 1u);
  EXPECT_EQ(requests.hits(join(join(a, b), {9})), 1u);
}

TEST(PrefixCache, EvictsTheLeastRecentlyUsedAndTailsBeforeHeads) {
  PrefixRequests requests(7, 4);
  const Ids first = count_from(0, 13), second = count_from(100, 9);
  requests.serve(first);   // 3 known, 1 not
  requests.serve(second);  // 2 known, 1 not
  const auto known = [&] { return std::pair(requests.hits(first), requests.hits(second)); };
  EXPECT_EQ(known(), std::pair(size_t{3}, size_t{2}));
  std::vector<std::pair<size_t, size_t>> seen;
  while (requests.pool.allocate()) seen.push_back(known());
  // The first one's last block was not full; then its tail goes, then its head, and only then the second one's.
  EXPECT_EQ(seen, (std::vector<std::pair<size_t, size_t>>{{3, 2}, {2, 2}, {1, 2}, {0, 2}, {0, 2}, {0, 1}, {0, 0}}));
  EXPECT_EQ(requests.cache.num_evicted(), 5);
}

TEST(PrefixCache, AHitIsNotEvictedWhileOthersAreFree) {
  PrefixRequests requests(6, 4);
  const Ids first = count_from(0, 9), second = count_from(100, 9);
  requests.serve(first);
  requests.serve(second);
  requests.serve(first);  // is now the one used last
  while (requests.hits(second) > 0) ASSERT_TRUE(requests.pool.allocate());
  EXPECT_EQ(requests.hits(first), 2u);
  EXPECT_GT(requests.pool.num_free(), 0);
}

TEST(PrefixCache, WhatIsOwnedIsNeverEvicted) {
  PrefixRequests requests(6, 4);
  const Ids tokens = count_from(0, 9), blocks = requests.admit(tokens);
  requests.cache.record(tokens, blocks, "");
  for (int i = 0; i < 50; ++i) requests.serve(count_from(100 * (i + 1), 12));
  EXPECT_EQ(requests.hits(tokens), 2u);
  EXPECT_GT(requests.cache.num_evicted(), 100);
}

// Two equal requests side by side: neither finds anything, both are known, and either may be forgotten.
TEST(PrefixCache, ConcurrentTwinsBothMiss) {
  PrefixRequests requests(12, 4);
  const Ids tokens = count_from(0, 9);
  const Ids a = requests.admit(tokens), b = requests.admit(tokens);
  EXPECT_EQ(requests.num_hits, 0u);
  requests.cache.record(tokens, a, "");
  requests.cache.record(tokens, b, "");
  EXPECT_EQ(requests.cache.num_known(), 4);
  requests.release(a);
  const Ids third = requests.admit(tokens);
  requests.release(b);
  requests.release(third);
  int allocated = 0;
  for (; requests.hits(tokens) == 2; ++allocated) ASSERT_TRUE(requests.pool.allocate());
  EXPECT_GT(requests.cache.num_evicted(), 1) << "a twin went before";
  EXPECT_GE(allocated, 8);
}

TEST(PrefixCache, ARuleMayRefuseABlock) {
  PrefixRequests requests(12, 4);
  const Ids tokens = count_from(0, 13), blocks = requests.serve(tokens);
  const auto refuse = [](int32_t refused) { return [=](int32_t block) { return block != refused; }; };
  EXPECT_EQ(requests.cache.match(tokens, "", refuse(blocks[1])), Ids{blocks[0]}) << "what follows is of no use";
  EXPECT_EQ(requests.cache.match(tokens, "", refuse(blocks[3])).size(), 3u);
}

TEST(PrefixCache, RefusesWhatCannotBe) {
  PrefixRequests requests(12, 4);
  const Ids tokens = count_from(0, 12), blocks = requests.serve(tokens);
  EXPECT_THROW(requests.cache.record(tokens, Ids{blocks[0]}, ""), std::logic_error) << "fewer blocks than are full";
  EXPECT_THROW(requests.cache.record(count_from(5, 12), blocks, ""), std::logic_error) << "rewritten";
}

}  // namespace
}  // namespace llm
