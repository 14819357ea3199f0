#include "common/tokenizer/added_tokens.h"

#include <algorithm>

#include "common/error.h"
#include "common/tokenizer/unicode.h"

namespace llm {

namespace {

AddedToken parse_token(const Json& json) {
  const auto flag = [&](std::string_view key) { return json.has(key) && json.at(key).boolean(); };
  AddedToken token;
  token.content = json.at("content").string();
  token.id = static_cast<int32_t>(json.at("id").integer(0, kMaxTokenId));
  token.single_word = flag("single_word");
  token.lstrip = flag("lstrip");
  token.rstrip = flag("rstrip");
  token.special = flag("special");
  token.normalized = json.has("normalized") ? json.at("normalized").boolean() : !token.special;
  if (token.content.empty()) json.at("content").fail("is empty; give the token's text");
  return token;
}

// Where white space that reaches to the end of `text` begins.
size_t trailing_space(std::string_view text) {
  while (!text.empty()) {
    const Utf8Char back = utf8_back(text);
    if (!is_space(back.code_point)) break;
    text.remove_suffix(back.length);
  }
  return text.size();
}

size_t leading_space(std::string_view text) {
  size_t length = 0;
  while (length < text.size()) {
    const Utf8Char front = utf8_front(text.substr(length));
    if (!is_space(front.code_point)) break;
    length += front.length;
  }
  return length;
}

bool touches_word(std::string_view before, std::string_view after) {
  return (!before.empty() && is_word_char(utf8_back(before).code_point)) ||
         (!after.empty() && is_word_char(utf8_front(after).code_point));
}

}  // namespace

AddedTokens AddedTokens::parse(const Json& json, const Vocabulary& model, const Normalizer& normalizer) {
  AddedTokens added;
  json.for_each([&](const Json& entry) {
    AddedToken token = parse_token(entry);
    token.spelling = token.normalized ? normalizer.normalize(token.content) : token.content;
    const int32_t model_id = model.find(token.content);
    if (model_id >= 0 && model_id != token.id) {
      entry.at("id").fail(fmt::format("is {}, but model.vocab gives \"{}\" the id {}; give it once", token.id,
                                      token.content, model_id));
    }
    const std::string* taken = model_id >= 0 ? nullptr : model.token(token.id);
    if (taken == nullptr) taken = added.vocabulary_.token(token.id);
    if (taken != nullptr)
      entry.at("id").fail(fmt::format("is {}, the id of \"{}\" already; give a free one", token.id, *taken));
    if (!added.vocabulary_.add(token.content, token.id)) {
      entry.at("content").fail(fmt::format("is \"{}\", which is added twice; remove one of them", token.content));
    }
    added.by_id_[token.id] = added.tokens_.size();
    added.tokens_.push_back(std::move(token));
  });
  // Should two normalize to the same text, a special one is preferred, then the first.
  for (const bool special : {true, false}) {
    for (size_t i = 0; i < added.tokens_.size(); ++i) {
      const AddedToken& token = added.tokens_[i];
      if (token.special == special) (token.normalized ? added.normalized_ : added.raw_).add(token.spelling, i);
    }
  }
  added.raw_.sort();
  added.normalized_.sort();
  return added;
}

const AddedToken* AddedTokens::find(int32_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &tokens_[found->second];
}

void AddedTokens::Needles::add(std::string text, size_t token) {
  if (text.empty()) return;  // normalized away
  starts_with[static_cast<uint8_t>(text.front())] = true;
  sorted.push_back({std::move(text), token});
}

void AddedTokens::Needles::sort() {
  const auto by_text = [](const Needle& a, const Needle& b) { return a.text < b.text; };
  const auto same_text = [](const Needle& a, const Needle& b) { return a.text == b.text; };
  std::stable_sort(sorted.begin(), sorted.end(), by_text);
  sorted.erase(std::unique(sorted.begin(), sorted.end(), same_text), sorted.end());
}

const AddedTokens::Needles::Needle* AddedTokens::Needles::longest_at(std::string_view text) const {
  if (!starts_with[static_cast<uint8_t>(text.front())]) return nullptr;
  // Byte by byte, [first, last) narrows to the needles that agree with the text so far.
  auto first = sorted.begin(), last = sorted.end();
  const Needle* longest = nullptr;
  for (size_t depth = 0; first != last; ++depth) {
    if (first->text.size() == depth) {  // the shortest sorts first
      longest = &*first++;
    }
    if (depth == text.size()) break;
    const auto byte = static_cast<uint8_t>(text[depth]);
    first = std::lower_bound(first, last, byte, [depth](const Needle& needle, uint8_t wanted) {
      return static_cast<uint8_t>(needle.text[depth]) < wanted;
    });
    last = std::upper_bound(first, last, byte, [depth](uint8_t wanted, const Needle& needle) {
      return wanted < static_cast<uint8_t>(needle.text[depth]);
    });
  }
  return longest;
}

std::vector<Segment> AddedTokens::split(std::string_view text, const Needles& needles) const {
  std::vector<Segment> segments;
  size_t done = 0;  // all before this is in segments
  for (size_t i = 0; i < text.size();) {
    const Needles::Needle* found = needles.longest_at(text.substr(i));
    if (found == nullptr) {
      ++i;
      continue;
    }
    const AddedToken& token = tokens_[found->token];
    size_t begin = i;
    size_t end = i += found->text.size();
    if (token.single_word && touches_word(text.substr(0, begin), text.substr(end))) continue;
    if (token.lstrip) begin = std::max(done, trailing_space(text.substr(0, begin)));
    if (token.rstrip) end += leading_space(text.substr(end));
    if (done < begin) segments.push_back({text.substr(done, begin - done), -1});
    segments.push_back({text.substr(begin, end - begin), token.id});
    done = end;
  }
  if (done < text.size()) segments.push_back({text.substr(done), -1});
  return segments;
}

}  // namespace llm
