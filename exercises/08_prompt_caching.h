// The exercises of chapter 8; `./test exercise 8` checks them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string_view>
#include <vector>

namespace llm::exercises {

extern const int64_t kCachedInBlocksOf16, kCachedInBlocksOf256;   // 8.1
extern const int kBreakEvenOfDearWrites, kBreakEvenOfFreeWrites;  // 8.2

// 8.3.   result [full blocks of `tokens`]
std::vector<uint64_t> hash_blocks(std::span<const int32_t> tokens, size_t block_size, std::string_view salt);

// 8.4.   hashes: those of hash_blocks(tokens, ...)
size_t count_cached_tokens(size_t num_tokens, size_t block_size, std::span<const uint64_t> hashes,
                           const std::set<uint64_t>& known);

// 8.5. Texts as paths from a root, which part where the texts do.
class RadixTree {
 public:
  void insert(std::span<const int32_t> tokens);
  // Of how many of the first `tokens` some inserted text begins with the same.
  size_t match(std::span<const int32_t> tokens) const;

  size_t num_nodes() const { return count(root_) - 1; }  // the root does not count

 private:
  struct Node {
    std::vector<int32_t> tokens;                        // on the way from its parent; none for the root
    std::map<int32_t, std::unique_ptr<Node>> children;  // by the first of their tokens
  };
  static size_t count(const Node& node) {
    size_t nodes = 1;
    for (const auto& [token, child] : node.children) nodes += count(*child);
    return nodes;
  }

  Node root_;
};

}  // namespace llm::exercises
