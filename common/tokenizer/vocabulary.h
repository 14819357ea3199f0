// Tokens and their ids.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <unordered_map>

namespace llm {

inline constexpr int64_t kMaxTokenId = std::numeric_limits<int32_t>::max() - 1;

// Lets a map of strings be searched by views.
struct StringHash : std::hash<std::string_view> {
  using is_transparent = void;
};

// A one-to-one map between spellings and ids. Ids may have gaps: memory follows the number of tokens, not their ids.
class Vocabulary {
 public:
  Vocabulary() = default;
  Vocabulary(Vocabulary&&) = default;  // not copied: tokens_ points into ids_
  Vocabulary& operator=(Vocabulary&&) = default;

  void reserve(size_t tokens);
  // False, and nothing changes, when the token or the id is there already.
  bool add(const std::string& token, int32_t id);

  int32_t find(std::string_view token) const;  // -1: not there
  const std::string* token(int32_t id) const;  // nullptr: not there
  bool empty() const { return ids_.empty(); }
  int size() const { return largest_id_ + 1; }  // one more than the largest id

 private:
  std::unordered_map<std::string, int32_t, StringHash, std::equal_to<>> ids_;
  std::unordered_map<int32_t, const std::string*> tokens_;  // the keys of ids_
  int32_t largest_id_ = -1;
};

}  // namespace llm
