#include "common/tokenizer/bpe.h"

#include <queue>

#include "common/error.h"
#include "common/tokenizer/unicode.h"

namespace llm {

namespace {

uint64_t pair_key(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

// Refuses what would change the result and no supported model uses.
void refuse_text(const Json& json, std::string_view key) {
  if (json.has(key) && !json.at(key).string().empty()) json.at(key).fail("is set, which is not supported; remove it");
}

bool flag(const Json& json, std::string_view key) { return json.has(key) && json.at(key).boolean(); }

}  // namespace

Bpe Bpe::parse(const Json& json) {
  // The oldest files name no type.
  const std::string type = json.has("type") || !json.has("merges") ? json.at("type").string() : "BPE";
  if (type != "BPE") {
    json.at("type").fail(fmt::format("is \"{}\", which is not supported; give a model whose tokenizer is BPE", type));
  }
  refuse_text(json, "continuing_subword_prefix");
  refuse_text(json, "end_of_word_suffix");
  if (json.has("dropout") && json.at("dropout").number() != 0) {
    json.at("dropout").fail("makes encoding random, which is not supported; set it to null");
  }
  Bpe bpe;
  bpe.parse_vocabulary(json.at("vocab"));
  bpe.parse_merges(json.at("merges"));
  bpe.parse_unknown(json);
  bpe.ignore_merges_ = flag(json, "ignore_merges");
  return bpe;
}

void Bpe::parse_vocabulary(const Json& json) {
  vocabulary_.reserve(json.size());
  json.for_each_item([this](const std::string& token, const Json& value) {
    const auto id = static_cast<int32_t>(value.integer(0, kMaxTokenId));
    if (!vocabulary_.add(token, id)) {
      value.fail(fmt::format("is {}, the id of \"{}\" already; give every token its own", id, *vocabulary_.token(id)));
    }
  });
  if (vocabulary_.empty()) json.fail("is empty; give at least one token");
}

void Bpe::parse_merges(const Json& json) {
  merges_.reserve(json.size());
  int32_t rank = 0;
  json.for_each([&](const Json& entry) {
    std::string left, right;
    if (entry.is_array()) {
      if (entry.size() != 2) entry.fail("must be a pair of tokens");
      left = entry.at(0).string();
      right = entry.at(1).string();
    } else {
      const std::string line = entry.string();
      const size_t space = line.find(' ');
      if (line.starts_with("#version")) return;  // the first line of the merges.txt it was made from
      if (space == std::string::npos || line.find(' ', space + 1) != std::string::npos) {
        entry.fail(fmt::format("is \"{}\", but must be two tokens with one space between", line));
      }
      left = line.substr(0, space);
      right = line.substr(space + 1);
    }
    const auto id_of = [&](const std::string& token) {
      const int32_t id = vocabulary_.find(token);
      if (id >= 0) return id;
      entry.fail(fmt::format("needs the token \"{}\", which model.vocab lacks; add it or remove the merge", token));
    };
    const int32_t left_id = id_of(left), right_id = id_of(right), merged_id = id_of(left + right);
    merges_[pair_key(left_id, right_id)] = {rank++, merged_id};
  });
}

void Bpe::parse_unknown(const Json& json) {
  byte_ids_.fill(-1);
  if (flag(json, "byte_fallback")) {
    for (size_t byte = 0; byte < 256; ++byte) byte_ids_[byte] = vocabulary_.find(fmt::format("<0x{:02X}>", byte));
  }
  fuse_unknown_ = flag(json, "fuse_unk");
  if (json.has("unk_token")) {
    const std::string token = json.at("unk_token").string();
    unknown_id_ = vocabulary_.find(token);
    if (unknown_id_ < 0) {
      json.at("unk_token").fail(fmt::format("is \"{}\", which model.vocab lacks; add it or set null", token));
    }
  }
}

void Bpe::encode(std::string_view word, std::vector<int32_t>& ids) const {
  if (ignore_merges_) {
    if (const int32_t id = vocabulary_.find(word); id >= 0) return ids.push_back(id);
  }
  std::vector<Symbol> symbols = first_symbols(word);
  merge(symbols);
  for (const Symbol& symbol : symbols) {
    if (symbol.id >= 0) ids.push_back(symbol.id);
  }
}

std::vector<Bpe::Symbol> Bpe::first_symbols(std::string_view word) const {
  std::vector<Symbol> symbols;
  symbols.reserve(word.size());
  const auto append = [&](int32_t id) {
    const auto position = static_cast<int32_t>(symbols.size());
    symbols.push_back({id, position - 1, position + 1});
  };
  bool after_unknown = false;
  while (!word.empty()) {
    const std::string_view character = word.substr(0, utf8_front(word).length);
    word.remove_prefix(character.size());
    const int32_t id = vocabulary_.find(character);
    bool has_bytes = id < 0;
    for (const char byte : character) has_bytes = has_bytes && byte_ids_[static_cast<uint8_t>(byte)] >= 0;

    if (id >= 0) {
      append(id);
    } else if (has_bytes) {
      for (const char byte : character) append(byte_ids_[static_cast<uint8_t>(byte)]);
    } else if (unknown_id_ >= 0 && !(fuse_unknown_ && after_unknown)) {
      append(unknown_id_);
    }
    after_unknown = id < 0 && !has_bytes;
  }
  if (!symbols.empty()) symbols.back().next = -1;
  return symbols;
}

void Bpe::merge(std::vector<Symbol>& symbols) const {
  // A pair that may merge: the symbol at `left` with the one after it. Of equal ranks the leftmost goes first.
  struct Candidate {
    int32_t rank, left, id;
    bool operator>(const Candidate& other) const { return rank != other.rank ? rank > other.rank : left > other.left; }
  };
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto propose = [&](int32_t left) {
    if (left < 0 || symbols[left].next < 0) return;
    const Merge* found = find_merge(symbols[left].id, symbols[symbols[left].next].id);
    if (found != nullptr) queue.push({found->rank, left, found->id});
  };

  for (size_t left = 0; left < symbols.size(); ++left) propose(static_cast<int32_t>(left));
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    Symbol& left = symbols[best.left];
    if (left.id < 0 || left.next < 0) continue;
    Symbol& right = symbols[left.next];
    // Since it was proposed, either of the two may have merged with another.
    const Merge* still = find_merge(left.id, right.id);
    if (still == nullptr || still->id != best.id) continue;

    left.id = best.id;
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0) symbols[left.next].prev = best.left;
    propose(left.prev);
    propose(best.left);
  }
}

const Bpe::Merge* Bpe::find_merge(int32_t left, int32_t right) const {
  const auto found = merges_.find(pair_key(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

}  // namespace llm
