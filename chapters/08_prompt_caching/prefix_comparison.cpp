#include "chapters/08_prompt_caching/prefix_comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "chapters/08_prompt_caching/prefix_cache.h"

namespace llm {

namespace {

template <class List>
size_t count_common(const List& a, const List& b) {
  return static_cast<size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

bool is_inside_character(std::string_view text, size_t at) {
  return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80;
}

// The real thing, in small: the first prompt is served, then the second one comes.
size_t count_hits(const std::vector<int32_t>& first, const std::vector<int32_t>& second, int32_t block_size) {
  BlockPool pool(static_cast<int32_t>(first.size()) / block_size + 1);
  PrefixCache cache(pool, block_size);
  std::vector<int32_t> blocks(static_cast<size_t>(pool.num_blocks()));
  std::iota(blocks.begin(), blocks.end(), 0);
  cache.record(first, blocks, "");
  return cache.match(second, "").size();
}

// The bytes of text for which a prompt's first `count` tokens stand.
size_t count_bytes(const PrefixComparison& c, int prompt, size_t count, const Tokenizer& tokenizer) {
  const std::vector<int32_t>& tokens = c.tokens[prompt];
  return count_common(tokenizer.decode({tokens.begin(), tokens.begin() + static_cast<long>(count)}), c.texts[prompt]);
}

Parting find_parting(const PrefixComparison& c, const Tokenizer& tokenizer) {
  const bool first_ends = c.common_tokens == c.tokens[0].size(), second_ends = c.common_tokens == c.tokens[1].size();
  if (first_ends && second_ends) return Parting::nowhere;
  if (first_ends) return Parting::first_ends;
  if (second_ends) return Parting::second_ends;
  // One of the tokens that differ stands for text that is the same in both.
  const size_t next = c.common_tokens + 1;
  const size_t end = std::min(count_bytes(c, 0, next, tokenizer), count_bytes(c, 1, next, tokenizer));
  return end <= c.common_bytes ? Parting::seam : Parting::text;
}

// Some bytes of text on one line, in quotes, whole characters only.
std::string quote(std::string_view text, size_t begin, size_t end) {
  while (is_inside_character(text, begin)) --begin;
  while (is_inside_character(text, end)) ++end;
  std::string quoted = begin > 0 ? "…" : "";
  quoted += '"';
  for (const char c : text.substr(begin, end - begin)) {
    if (c == '\n') {
      quoted += "\\n";
    } else {
      quoted += c;
    }
  }
  return quoted + '"' + (end < text.size() ? "…" : "");
}

std::string quote_tokens(const std::vector<int32_t>& tokens, size_t begin, const Tokenizer& tokenizer) {
  constexpr size_t kMost = 4;
  if (begin == tokens.size()) return "(the end)";
  std::vector<std::string> quoted;
  for (size_t i = begin; i < std::min(begin + kMost, tokens.size()); ++i) {
    const std::string text = tokenizer.decode({tokens[i]}, false);
    quoted.push_back(quote(text, 0, text.size()));
  }
  if (begin + kMost < tokens.size()) quoted.push_back("…");
  return fmt::format("{}", fmt::join(quoted, " "));
}

std::string count_of(size_t count, const char* noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

}  // namespace

PrefixComparison compare_prompts(const Tokenizer& tokenizer, std::string_view first, std::string_view second,
                                 int32_t block_size) {
  PrefixComparison c;
  c.texts[0] = first;
  c.texts[1] = second;
  c.block_size = block_size;
  for (int i = 0; i < 2; ++i) c.tokens[i] = tokenizer.encode(c.texts[i]);
  c.common_bytes = count_common(c.texts[0], c.texts[1]);
  while (is_inside_character(c.texts[0], c.common_bytes) || is_inside_character(c.texts[1], c.common_bytes)) {
    --c.common_bytes;
  }
  c.common_tokens = count_common(c.tokens[0], c.tokens[1]);
  c.common_token_bytes = count_bytes(c, 0, c.common_tokens, tokenizer);
  const size_t shorter = std::min(c.tokens[0].size(), c.tokens[1].size());
  while (c.common_tokens + c.common_tail < shorter && c.tokens[0].end()[-1 - static_cast<long>(c.common_tail)] ==
                                                          c.tokens[1].end()[-1 - static_cast<long>(c.common_tail)]) {
    ++c.common_tail;
  }
  c.hit_blocks = count_hits(c.tokens[0], c.tokens[1], block_size);
  c.num_blocks = c.tokens[1].size() / static_cast<size_t>(block_size);
  c.parting = find_parting(c, tokenizer);
  return c;
}

std::string explain(const PrefixComparison& c) {
  const auto block_size = static_cast<size_t>(c.block_size);
  std::string why;
  switch (c.parting) {
    case Parting::nowhere:
      why = c.hit_blocks < c.num_blocks
                ? "The prompts are equal. Their last block is computed again, since a token must be, to get its logits."
                : "The prompts are equal: all full blocks hit.";
      break;
    case Parting::first_ends:
      why = "The second prompt goes on where the first ends.";
      break;
    case Parting::second_ends:
      why = "The second prompt ends where the first goes on.";
      break;
    case Parting::text:
      why = "The texts part here.";
      break;
    case Parting::seam:
      why = fmt::format(
          "The texts agree for {} more, but their tokens do not: a tokenizer joins letters across a seam, and "
          "equal text is not equal tokens.",
          count_of(c.common_bytes - c.common_token_bytes, "byte"));
      break;
  }
  if (c.common_tokens < block_size && c.parting != Parting::nowhere) {
    why += fmt::format(" That is within the first block of {}, so nothing hits.", c.block_size);
  }
  if (c.common_tail >= block_size) {
    why += fmt::format(
        " The last {} tokens are the same in both and stand behind the difference: what a token's keys and values are "
        "depends on all before it. Move what differs behind them.",
        c.common_tail);
  }
  return why;
}

std::string draw_comparison(const PrefixComparison& c, const Tokenizer& tokenizer) {
  constexpr size_t kBefore = 24, kAfter = 32;
  std::string text =
      fmt::format("  text:   {} bytes agree, of {} and {}\n", c.common_bytes, c.texts[0].size(), c.texts[1].size());
  if (c.parting != Parting::nowhere) {
    const size_t begin = c.common_bytes - std::min(c.common_bytes, kBefore);
    text += fmt::format("    {}, then\n",
                        quote(std::string_view(c.texts[0]).substr(0, c.common_bytes), begin, c.common_bytes));
    for (const std::string& side : c.texts) {
      const std::string_view rest = std::string_view(side).substr(c.common_bytes);
      text += fmt::format("      {}\n", rest.empty() ? "(the end)" : quote(rest, 0, std::min(kAfter, rest.size())));
    }
  }
  text += fmt::format("  tokens: {} agree, of {} and {}\n", c.common_tokens, c.tokens[0].size(), c.tokens[1].size());
  if (c.parting != Parting::nowhere) {
    for (const std::vector<int32_t>& side : c.tokens) {
      text += fmt::format("      {}\n", quote_tokens(side, c.common_tokens, tokenizer));
    }
  }
  return text + fmt::format("  blocks: {} of {} hit, {} of {} tokens\n  {}\n", c.hit_blocks, c.num_blocks,
                            c.hit_blocks * static_cast<size_t>(c.block_size), c.tokens[1].size(), explain(c));
}

}  // namespace llm
