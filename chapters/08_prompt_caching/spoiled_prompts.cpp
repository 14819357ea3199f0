#include "chapters/08_prompt_caching/spoiled_prompts.h"

#include <fmt/format.h>

#include "common/program/format.h"

namespace llm {

namespace {

const std::string kStory =
    "You tell little children a story before they go to bed. It is about a cat, a dog and a red kite in the park. "
    "Nobody is sad for long, and all of them are friends in the end. The cat can talk, but the dog can not.";

// The first words of the story, as many as make `text + ending` fill its last block to the last token; the whole story
// where none do.
std::string fill_block(const Tokenizer& tokenizer, const std::string& ending, int32_t block_size) {
  for (size_t end = kStory.rfind(' '); end > 0 && end != std::string::npos; end = kStory.rfind(' ', end - 1)) {
    const std::string words = kStory.substr(0, end);
    if (tokenizer.encode(words + ending).size() % static_cast<size_t>(block_size) == 0) return words;
  }
  return kStory;
}

}  // namespace

std::vector<SpoiledPrompt> spoiled_prompts(const Tokenizer& tokenizer, int32_t block_size) {
  const auto compare = [&](const std::string& first, const std::string& second) {
    return compare_prompts(tokenizer, first, second, block_size);
  };
  const std::string spaced = fill_block(tokenizer, " ", block_size), unspaced = fill_block(tokenizer, "", block_size);
  return {{"a clock at the start", compare("It is 9:41. " + kStory, "It is 9:42. " + kStory),
           compare(kStory + " It is 9:41.", kStory + " It is 9:42.")},
          {"a changed tool list", compare("Tools: find, count. " + kStory, "Tools: find, draw. " + kStory),
           compare(kStory + " Tools: find, count.", kStory + " Tools: find, draw.")},
          {"a space at a seam", compare(spaced + " ", spaced + " kite and ball"),
           compare(unspaced, unspaced + " kite and ball")}};
}

std::string draw_spoiled_prompts(const std::vector<SpoiledPrompt>& prompts) {
  Table table({"two prompts", "bytes alike", "tokens alike", "blocks hit", "mended"});
  const auto of = [](size_t part, size_t all) { return fmt::format("{} of {}", part, all); };
  for (const auto& [what, spoiled, mended] : prompts) {
    table.add({what, of(spoiled.common_bytes, spoiled.texts[0].size()),
               of(spoiled.common_tokens, spoiled.tokens[0].size()), of(spoiled.hit_blocks, spoiled.num_blocks),
               of(mended.hit_blocks, mended.num_blocks)});
  }
  return table.to_string();
}

}  // namespace llm
