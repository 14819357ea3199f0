#include "exercises/08_prompt_caching.h"

#include <algorithm>
#include <random>

#include "chapters/08_prompt_caching/cache_price.h"
#include "exercises/checks/check.h"
#include "tests/chapters/08_prompt_caching/prefix_requests.h"

namespace llm {
namespace {

TEST(Chapter8, Exercise1) {
  const auto expect = [](const char* name, int64_t predicted, int32_t block_size) {
    PrefixRequests requests(200, block_size);
    const Ids system = count_from(0, 1000);
    requests.serve(join(system, count_from(2000, 50)));
    const auto cached = static_cast<int64_t>(requests.hits(join(system, count_from(3000, 50)))) * block_size;
    expect_prediction(name, predicted, cached, fmt::format("chapter 8's cache found, in blocks of {}", block_size));
  };
  expect("kCachedInBlocksOf16", exercises::kCachedInBlocksOf16, 16);
  expect("kCachedInBlocksOf256", exercises::kCachedInBlocksOf256, 256);
}

TEST(Chapter8, Exercise2) {
  expect_prediction("kBreakEvenOfDearWrites", exercises::kBreakEvenOfDearWrites,
                    break_even_use({.write = 2.0, .read = 0.5}), "by chapter 8's prices it is use");
  expect_prediction("kBreakEvenOfFreeWrites", exercises::kBreakEvenOfFreeWrites,
                    break_even_use({.write = 1.0, .read = 0.1}), "by chapter 8's prices it is use");
}

// Texts of few tokens, in runs, so that beginnings are often alike.
Ids random_text(std::mt19937_64& random) {
  Ids tokens;
  for (uint64_t runs = 1 + random() % 5; runs > 0; --runs) {
    tokens.insert(tokens.end(), 1 + random() % 9, static_cast<int32_t>(random() % 3));
  }
  return tokens;
}

TEST(Chapter8, Exercise3) {
  std::mt19937_64 random(1);
  for (const size_t block_size : {1, 2, 4, 16}) {
    for (const std::string_view salt : {"", "tenant"}) {
      for (int texts = 0; texts < 200; ++texts) {
        const Ids tokens = random_text(random);
        const std::vector<uint64_t> hashes = exercises::hash_blocks(tokens, block_size, salt);
        const std::string situation = fmt::format("{} tokens, block_size {}", tokens.size(), block_size);
        ASSERT_ANSWER(hashes.size(), tokens.size() / block_size)
            << "Numbers in the result: one for each full block. " << situation << ".";
        for (size_t i = 0; i < hashes.size(); ++i) {
          ASSERT_ANSWER(hashes[i], hash_block(i == 0 ? 0 : hashes[i - 1],
                                              std::span(tokens).subspan(i * block_size, block_size), salt))
              << situation << ", block " << i << (salt.empty() ? "." : ", with a salt.");
        }
      }
    }
  }
}

// Against chapter 8's cache, which compares tokens and not only hashes.
TEST(Chapter8, Exercise4) {
  std::mt19937_64 random(2);
  int64_t num_found = 0;
  for (const size_t block_size : {1, 2, 4, 16}) {
    PrefixRequests requests(10'000, static_cast<int32_t>(block_size));
    std::set<uint64_t> known;
    for (int texts = 0; texts < 200; ++texts) {
      const Ids tokens = random_text(random);
      std::vector<uint64_t> hashes;
      for (size_t end = block_size; end <= tokens.size(); end += block_size) {
        hashes.push_back(hash_block(hashes.empty() ? 0 : hashes.back(),
                                    std::span(tokens).subspan(end - block_size, block_size), ""));
      }
      const size_t expected = requests.hits(tokens) * block_size;
      ASSERT_ANSWER(exercises::count_cached_tokens(tokens.size(), block_size, hashes, known), expected)
          << fmt::format("A prompt of {} tokens, blocks of {}, and {} blocks that are known.", tokens.size(),
                         block_size, known.size());
      num_found += expected > 0;
      requests.serve(tokens);
      known.insert(hashes.begin(), hashes.end());
    }
  }
  EXPECT_GT(num_found, 200);
}

TEST(Chapter8, Exercise5) {
  std::mt19937_64 random(3);
  for (int trees = 0; trees < 20; ++trees) {
    exercises::RadixTree tree;
    std::vector<Ids> texts;
    std::set<Ids> prefixes;  // of all texts, the empty one too
    prefixes.insert(Ids());
    for (int i = 0; i < 40; ++i) {
      const Ids wanted = random_text(random);
      size_t expected = 0;
      for (const Ids& text : texts) {
        expected = std::max(expected, static_cast<size_t>(std::ranges::mismatch(wanted, text).in1 - wanted.begin()));
      }
      ASSERT_ANSWER(tree.match(wanted), expected)
          << fmt::format("{} texts are inserted, and {} is looked for.", texts.size(), fmt::join(wanted, " "));
      const Ids text = i % 5 == 4 && !texts.empty() ? texts[random() % texts.size()] : random_text(random);
      tree.insert(text);
      texts.push_back(text);
      for (size_t length = 1; length <= text.size(); ++length)
        prefixes.insert(Ids(text.begin(), text.begin() + static_cast<ptrdiff_t>(length)));
      ASSERT_ANSWER(tree.match(text), text.size()) << "A text that was just inserted is to be found whole.";
      // A node ends where texts part, and where one ends.
      size_t num_ends = 0;
      for (const Ids& prefix : prefixes) {
        int children = 0;
        for (int32_t token = 0; token < 3; ++token) children += prefixes.contains(join(prefix, {token}));
        num_ends += !prefix.empty() && (children > 1 || std::ranges::count(texts, prefix) > 0);
      }
      ASSERT_LE(tree.num_nodes(), num_ends) << "The answers are right, but nodes that could be one piece are several.";
    }
  }
}

}  // namespace
}  // namespace llm
