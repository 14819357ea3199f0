#include "exercises/08_prompt_caching.h"

#include <algorithm>

#include "chapters/08_prompt_caching/block_hash.h"

namespace llm::exercises {

const int64_t kCachedInBlocksOf16 = 1000 / 16 * 16;
const int64_t kCachedInBlocksOf256 = 1000 / 256 * 256;

const int kBreakEvenOfDearWrites = 4;  // 2 + 0.5 (n − 1) < n from n > 3 on
const int kBreakEvenOfFreeWrites = 2;  // the first use costs as much as without a cache, each later one a tenth

std::vector<uint64_t> hash_blocks(std::span<const int32_t> tokens, size_t block_size, std::string_view salt) {
  std::vector<uint64_t> hashes;
  uint64_t parent = 0;
  for (size_t end = block_size; end <= tokens.size(); end += block_size) {
    parent = hash_block(parent, tokens.subspan(end - block_size, block_size), salt);
    hashes.push_back(parent);
  }
  return hashes;
}

size_t count_cached_tokens(size_t num_tokens, size_t block_size, std::span<const uint64_t> hashes,
                           const std::set<uint64_t>& known) {
  size_t num_cached = 0;
  for (const uint64_t hash : hashes) {
    if (!known.contains(hash) || num_cached + block_size >= num_tokens) break;
    num_cached += block_size;
  }
  return num_cached;
}

namespace {

size_t common_length(std::span<const int32_t> a, std::span<const int32_t> b) {
  return static_cast<size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

}  // namespace

void RadixTree::insert(std::span<const int32_t> tokens) {
  Node* node = &root_;
  while (!tokens.empty()) {
    std::unique_ptr<Node>& child = node->children[tokens.front()];
    if (!child) {
      child = std::make_unique<Node>(Node{{tokens.begin(), tokens.end()}, {}});
      return;
    }
    const size_t common = common_length(child->tokens, tokens);
    if (common < child->tokens.size()) {
      const auto middle = child->tokens.begin() + static_cast<ptrdiff_t>(common);
      auto head = std::make_unique<Node>(Node{{child->tokens.begin(), middle}, {}});
      child->tokens.erase(child->tokens.begin(), middle);
      const int32_t first = child->tokens.front();
      head->children[first] = std::move(child);
      child = std::move(head);
    }
    node = child.get();
    tokens = tokens.subspan(common);
  }
}

size_t RadixTree::match(std::span<const int32_t> tokens) const {
  const Node* node = &root_;
  size_t matched = 0;
  while (matched < tokens.size()) {
    const auto child = node->children.find(tokens[matched]);
    if (child == node->children.end()) break;
    node = child->second.get();
    const size_t common = common_length(node->tokens, tokens.subspan(matched));
    matched += common;
    if (common < node->tokens.size()) break;
  }
  return matched;
}

}  // namespace llm::exercises
