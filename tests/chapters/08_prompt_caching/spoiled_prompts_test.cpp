#include "chapters/08_prompt_caching/spoiled_prompts.h"

#include <gtest/gtest.h>

namespace llm {
namespace {

// What the page of chapter 8 says of the three ways to spoil a prompt.
TEST(SpoiledPrompts, EachHasARemedy) {
  const Tokenizer tokenizer = Tokenizer::load("models/stories");
  for (const int32_t block_size : {4, 8, 16}) {
    const std::vector<SpoiledPrompt> prompts = spoiled_prompts(tokenizer, block_size);
    ASSERT_EQ(prompts.size(), 3u);
    for (const auto& [what, spoiled, mended] : prompts) {
      EXPECT_LT(spoiled.hit_blocks, spoiled.num_blocks) << what;
      EXPECT_EQ(mended.hit_blocks, mended.tokens[0].size() / static_cast<size_t>(block_size)) << what;
      EXPECT_GT(mended.hit_blocks, spoiled.hit_blocks) << what;
    }
    const PrefixComparison &clock = prompts[0].spoiled, &tools = prompts[1].spoiled, &seam = prompts[2].spoiled;
    EXPECT_EQ(clock.parting, Parting::text);
    EXPECT_GT(clock.common_tail, 50u);
    EXPECT_EQ(tools.parting, Parting::text);
    EXPECT_EQ(seam.parting, Parting::seam);
    EXPECT_EQ(seam.common_bytes, seam.texts[0].size()) << "all of the first text";
    EXPECT_EQ(seam.tokens[0].size() % static_cast<size_t>(block_size), 0u);
    EXPECT_EQ(seam.common_tokens, seam.tokens[0].size() - 1) << "but for the space";
    EXPECT_EQ(seam.hit_blocks, seam.tokens[0].size() / static_cast<size_t>(block_size) - 1);
  }
  EXPECT_EQ(draw_spoiled_prompts(spoiled_prompts(tokenizer, 16)),
            "  two prompts           bytes alike  tokens alike  blocks hit  mended\n"
            "  ───────────────────────────────────────────────────────────────────\n"
            "  a clock at the start     9 of 223       7 of 67      0 of 4  4 of 4\n"
            "  a changed tool list     13 of 231       7 of 67      0 of 4  4 of 4\n"
            "  a space at a seam        62 of 62      15 of 16      0 of 1  3 of 3\n");
}

}  // namespace
}  // namespace llm
