#include "common/tokenizer/vocabulary.h"

#include <algorithm>

namespace llm {

void Vocabulary::reserve(size_t tokens) {
  ids_.reserve(tokens);
  tokens_.reserve(tokens);
}

bool Vocabulary::add(const std::string& token, int32_t id) {
  if (tokens_.count(id) != 0) return false;
  const auto [entry, is_new] = ids_.emplace(token, id);
  if (!is_new) return false;
  tokens_.emplace(id, &entry->first);
  largest_id_ = std::max(largest_id_, id);
  return true;
}

int32_t Vocabulary::find(std::string_view token) const {
  const auto found = ids_.find(token);
  return found == ids_.end() ? -1 : found->second;
}

const std::string* Vocabulary::token(int32_t id) const {
  const auto found = tokens_.find(id);
  return found == tokens_.end() ? nullptr : found->second;
}

}  // namespace llm
