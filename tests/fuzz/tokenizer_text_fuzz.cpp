// Texts for tokenizers that are in use: the first byte says which, the others are the text, and once more token ids.
#include "common/json/json.h"
#include "tests/fuzz/round_trip.h"

namespace llm {
namespace {

std::vector<std::string> added_tokens(const std::string& folder) {
  std::vector<std::string> contents;
  Json::parse_file(folder + "/tokenizer.json").at("added_tokens").for_each([&](const Json& token) {
    contents.push_back(token.at("content").string());
  });
  return contents;
}

// The embedded model's, and every kind that the references have. A round trip gives the text back, but for what a file
// asks to have changed: the normal form, letters, or the mark that stands for a space.
struct Case {
  enum class RoundTrip { exact, without_mark, no };
  const char* folder;
  RoundTrip round_trip;
  Tokenizer tokenizer = Tokenizer::load(folder);
  std::vector<std::string> added = added_tokens(folder);
};

const std::vector<Case>& cases() {
  using enum Case::RoundTrip;
  static const std::vector<Case> all = [] {
    std::vector<Case> list;
    list.push_back({"models/stories", exact});
    list.push_back({"tests/reference/tokenizer/llama2", without_mark});
    list.push_back({"tests/reference/tokenizer/gpt2", no});  // with added tokens that take the spaces beside them along
    list.push_back({"tests/reference/tokenizer/llama3", no});
    list.push_back({"tests/reference/tokenizer/metaspace", no});
    list.push_back({"tests/reference/tokenizer/mistral", no});  // a space in front is one with the mark put there
    list.push_back({"tests/reference/tokenizer/qwen2", no});
    list.push_back({"tests/reference/tokenizer/roberta", no});
    return list;
  }();
  return all;
}

// SentencePiece puts a space in front of each stretch of text, and decoding takes only the first one away: with an
// added token in between nothing can be promised.
bool comes_back(const Case& c, std::string_view text) {
  if (c.round_trip != Case::RoundTrip::without_mark) return c.round_trip == Case::RoundTrip::exact;
  if (text.find("\u2581") != std::string_view::npos) return false;
  return std::ranges::none_of(c.added, [&](const auto& token) { return text.find(token) != std::string_view::npos; });
}

}  // namespace

void fuzz(std::string_view input) {
  if (input.empty()) return;
  const Case& c = cases()[static_cast<uint8_t>(input[0]) % cases().size()];
  const std::string text = repair_utf8(input.substr(1));
  const std::vector<int32_t> ids = checked_encode(c.tokenizer, input.substr(1), false);
  check(ids == checked_encode(c.tokenizer, text, false), "what is no UTF-8 counts as U+FFFD");
  const std::string decoded = decode_as_it_grows(c.tokenizer, ids, false);
  if (comes_back(c, text)) check(decoded == text, "a text comes back from its tokens");
  decode_as_it_grows(c.tokenizer, checked_encode(c.tokenizer, text, true), true);

  std::vector<int32_t> any;  // tokens that no text has
  for (size_t i = 1; i + 1 < input.size(); i += 2) {
    any.push_back(static_cast<uint8_t>(input[i]) | static_cast<uint8_t>(input[i + 1]) << 8);
  }
  for (const bool skip_special : {false, true}) decode_as_it_grows(c.tokenizer, any, skip_special);
}

}  // namespace llm
