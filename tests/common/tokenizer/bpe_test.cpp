// The merge loop against the plainest form of the same rule, and what the model's settings change.
#include "common/tokenizer/bpe.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace llm {
namespace {

struct Model {
  std::map<std::string, int64_t> vocab;
  std::vector<std::pair<std::string, std::string>> merges;

  Bpe bpe(const std::string& more = "") const {
    Json vocab_json = Json::object();
    for (const auto& [token, id] : vocab) vocab_json.set(token, id);
    Json merges_json = Json::array();
    for (const auto& [left, right] : merges) merges_json.push(Json::array().push(left).push(right));
    return Bpe::parse(Json::parse(
        fmt::format(R"({{"type": "BPE", "vocab": {}, "merges": {}{}}})", vocab_json.dump(), merges_json.dump(), more),
        "tokenizer.json"));
  }

  // Again and again: of all neighbors that may merge, those of the smallest rank, leftmost first.
  std::vector<int32_t> encode_plainly(const std::string& word) const {
    std::vector<std::string> parts;
    for (const char c : word) parts.push_back({c});
    while (true) {
      size_t best_rank = merges.size(), best = 0;
      for (size_t i = 0; i + 1 < parts.size(); ++i) {
        // The last of equal merges counts, as in a table that is overwritten.
        const auto found = std::find(merges.rbegin(), merges.rend(), std::make_pair(parts[i], parts[i + 1]));
        const auto rank = static_cast<size_t>(merges.rend() - found) - 1;
        if (found != merges.rend() && rank < best_rank) {
          best_rank = rank;
          best = i;
        }
      }
      if (best_rank == merges.size()) break;
      parts[best] += parts[best + 1];
      parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    }
    std::vector<int32_t> ids;
    for (const std::string& part : parts) ids.push_back(static_cast<int32_t>(vocab.at(part)));
    return ids;
  }
};

std::vector<int32_t> encode(const Bpe& bpe, std::string_view word) {
  std::vector<int32_t> ids;
  bpe.encode(word, ids);
  return ids;
}

using Ids = std::vector<int32_t>;

// Random merges in random order: ranks that no training would give, among them merges used before their parts' own.
TEST(Bpe, EqualsThePlainRule) {
  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round) {
    const int letters = 1 + static_cast<int>(random() % 4);
    Model model;
    std::vector<std::string> tokens;
    const auto add = [&](const std::string& token) {
      if (model.vocab.emplace(token, static_cast<int64_t>(model.vocab.size())).second) tokens.push_back(token);
    };
    for (int i = 0; i < letters; ++i) add({static_cast<char>('a' + i)});
    for (int i = 0; i < 30; ++i) {
      const std::string left = tokens[random() % tokens.size()], right = tokens[random() % tokens.size()];
      if (left.size() + right.size() > 12) continue;
      add(left + right);
      model.merges.emplace_back(left, right);
    }
    std::shuffle(model.merges.begin(), model.merges.end(), random);
    const Bpe bpe = model.bpe();
    for (int word_round = 0; word_round < 20; ++word_round) {
      std::string word;
      for (size_t length = random() % 40; word.size() < length;) {
        word += static_cast<char>('a' + random() % static_cast<unsigned>(letters));
      }
      EXPECT_EQ(encode(bpe, word), model.encode_plainly(word)) << word;
    }
  }
}

TEST(Bpe, WorkedExample) {
  Model model;
  model.vocab = {{"h", 0}, {"u", 1}, {"g", 2}, {"s", 3}, {"ug", 4}, {"hug", 5}, {"gs", 6}};
  model.merges = {{"u", "g"}, {"g", "s"}, {"h", "ug"}};
  EXPECT_EQ(encode(model.bpe(), "hugs"), (Ids{5, 3}));  // h u g s -> h ug s -> hug s: "g s" comes too late
  EXPECT_EQ(encode(model.bpe(), "hgs"), (Ids{0, 6}));
  EXPECT_EQ(encode(model.bpe(), ""), Ids{});
}

TEST(Bpe, LongWordsTakeNoQuadraticTime) {
  Model model;
  model.vocab = {{"a", 0}, {"aa", 1}, {"aaaa", 2}, {"b", 3}, {"ab", 4}};
  model.merges = {{"a", "a"}, {"aa", "aa"}, {"a", "b"}};
  const Bpe bpe = model.bpe();
  EXPECT_EQ(encode(bpe, std::string(400000, 'a')), Ids(100000, 2));
  std::string word;
  for (int i = 0; i < 200000; ++i) word += "ab";
  EXPECT_EQ(encode(bpe, word), Ids(200000, 4));
}

TEST(Bpe, IgnoreMergesFindsWholeWords) {
  Model model;
  model.vocab = {{"a", 0}, {"b", 1}, {"c", 2}, {"abc", 3}};
  EXPECT_EQ(encode(model.bpe(), "abc"), (Ids{0, 1, 2}));
  EXPECT_EQ(encode(model.bpe(R"(, "ignore_merges": true)"), "abc"), Ids{3});
  EXPECT_EQ(encode(model.bpe(R"(, "ignore_merges": true)"), "abca"), (Ids{0, 1, 2, 0}));
}

TEST(Bpe, UnknownCharacters) {
  Model model;
  model.vocab = {{"a", 0}, {"<unk>", 1}, {"<0xC3>", 2}, {"<0xA9>", 3}, {"<0xE2>", 4}};
  EXPECT_EQ(encode(model.bpe(), "a\u00e9\u2603a"), (Ids{0, 0}));  // nothing stands for them
  EXPECT_EQ(encode(model.bpe(R"(, "unk_token": "<unk>")"), "\u00e9\u2603a\u2603"), (Ids{1, 1, 0, 1}));
  const std::string fuse = R"(, "unk_token": "<unk>", "fuse_unk": true)";
  EXPECT_EQ(encode(model.bpe(fuse), "\u00e9\u2603a\u2603"), (Ids{1, 0, 1}));
  // é has tokens for both bytes; the snowman, E2 98 83, only for one.
  EXPECT_EQ(encode(model.bpe(fuse + R"(, "byte_fallback": true)"), "\u2603\u00e9\u2603\u2603"), (Ids{1, 2, 3, 1}));
}

TEST(Bpe, MergesAsStringsAndAsPairs) {
  const std::string vocab = R"({"a": 0, "b": 1, "ab": 2, " ": 3, "a ": 4})";
  const auto parse = [&](const std::string& merges) {
    return Bpe::parse(Json::parse(fmt::format(R"({{"vocab": {}, "merges": {}}})", vocab, merges), "tokenizer.json"));
  };
  EXPECT_EQ(encode(parse(R"(["#version: 0.2", "a b"])"), "ab"), Ids{2});
  EXPECT_EQ(encode(parse(R"([["a", "b"]])"), "ab"), Ids{2});
  EXPECT_EQ(encode(parse(R"([["a", " "]])"), "a "), Ids{4});  // what strings can't say
}

}  // namespace
}  // namespace llm
