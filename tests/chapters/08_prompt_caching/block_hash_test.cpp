#include "chapters/08_prompt_caching/block_hash.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace llm {
namespace {

TEST(BlockHash, EveryPartCounts) {
  const std::vector<int32_t> tokens = {1, 2, 3, 4}, swapped = {2, 1, 3, 4}, longer = {1, 2, 3, 4, 0};
  const uint64_t hash = hash_block(0, tokens, "");
  EXPECT_EQ(hash_block(0, tokens, ""), hash);
  EXPECT_NE(hash_block(0, swapped, ""), hash) << "the order of tokens";
  EXPECT_NE(hash_block(0, longer, ""), hash);
  EXPECT_NE(hash_block(hash, tokens, ""), hash) << "equal blocks at different depths";
  EXPECT_NE(hash_block(0, tokens, "a"), hash) << "the tenant's salt";
  EXPECT_NE(hash_block(0, tokens, "a"), hash_block(0, tokens, "b"));
}

// Of the same bytes by Python's xxhash 4.1.
TEST(BlockHash, IsXxh64) {
  const std::vector<int32_t> tokens = {1, 2, 3, 4};
  EXPECT_EQ(hash_block(0, tokens, ""), 0x8752c74bc787fd40);
  EXPECT_EQ(hash_block(0x0123456789abcdef, tokens, "tenant"), 0x4c565a54ab866920);
}

TEST(BlockHash, NoTwoOfManyChainsAreAlike) {
  std::set<uint64_t> hashes;
  const std::vector<int32_t> a(16, 1), b(16, 2);
  std::vector<uint64_t> level = {0};
  for (int depth = 0; depth < 12; ++depth) {
    std::vector<uint64_t> next;
    for (const uint64_t parent : level) {
      for (const auto& tokens : {a, b}) next.push_back(hash_block(parent, tokens, ""));
    }
    hashes.insert(next.begin(), next.end());
    level = next;
  }
  EXPECT_EQ(hashes.size(), 8190u);  // 2 + 4 + ... + 4096
}

}  // namespace
}  // namespace llm
