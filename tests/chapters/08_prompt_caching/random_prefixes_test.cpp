// Thousands of requests whose beginnings are often alike, against an oracle that remembers what each block holds.
#include <algorithm>
#include <map>
#include <random>

#include "tests/chapters/08_prompt_caching/prefix_requests.h"

namespace llm {
namespace {

class Oracle {
 public:
  static constexpr int32_t kBlocks = 29;

  Oracle(int32_t block_size, HashBlockFn hash, uint64_t seed)
      : block_size_(block_size), requests_(kBlocks, block_size, hash), random_(seed) {}

  void operate() {
    if (running_.size() < 2 || (random_() % 2 == 0 && running_.size() < 6)) {
      admit();
    } else if (random_() % 3 == 0) {
      end();
    } else {
      grow();
    }
    check();
  }

  int hits = 0, misses = 0, refusals = 0;
  int64_t evictions() const { return requests_.cache.num_evicted(); }

 private:
  struct Request {
    Ids tokens, blocks;
    std::string salt;
    size_t num_computed = 0;
  };
  // All that stands up to a block's end, and whose it is.
  using Prefix = std::pair<Ids, std::string>;

  size_t pick(size_t count) { return random_() % count; }
  Ids prefix(const Request& request, size_t block) const {
    return {request.tokens.begin(), request.tokens.begin() + static_cast<long>((block + 1) * size())};
  }
  size_t size() const { return static_cast<size_t>(block_size_); }

  // Few tokens, in runs, so that beginnings are often alike.
  Ids some_tokens() {
    Ids tokens;
    for (size_t runs = 1 + pick(4); runs > 0; --runs) {
      tokens.insert(tokens.end(), 1 + pick(2 * size()), static_cast<int32_t>(pick(2)));
    }
    return tokens;
  }

  size_t expected_hits(const Request& request) const {
    size_t blocks = 0;
    while ((blocks + 1) * size() < request.tokens.size() && is_held({prefix(request, blocks), request.salt})) ++blocks;
    return blocks;
  }
  bool is_held(const Prefix& wanted) const {
    for (const auto& [block, held] : holds_) {
      if (held == wanted) return true;
    }
    return false;
  }

  void admit() {
    Request request{some_tokens(), {}, pick(3) == 0 ? "tenant" : ""};
    const Ids found = requests_.cache.match(request.tokens, request.salt);
    ASSERT_EQ(found.size(), expected_hits(request));
    for (size_t i = 0; i < found.size(); ++i) ASSERT_EQ(holds_.at(found[i]), Prefix(prefix(request, i), request.salt));
    int32_t to_take = static_cast<int32_t>((request.tokens.size() + size() - 1) / size() - found.size());
    for (const int32_t block : found) to_take += requests_.pool.ref_count(block) == 0;
    if (to_take > requests_.pool.num_free()) {
      ++refusals;
      return;
    }
    request.blocks = requests_.admit(request.tokens, request.salt);
    request.num_computed = found.size() * size();
    for (size_t i = found.size(); i < request.blocks.size(); ++i) holds_.erase(request.blocks[i]);
    (found.empty() ? misses : hits) += 1;
    compute(request, 1 + pick(request.tokens.size()));
    running_.push_back(request);
  }

  // A chunk: what is full and computed becomes known.
  void compute(Request& request, size_t count) {
    request.num_computed = std::min(request.tokens.size(), request.num_computed + count);
    requests_.cache.record(std::span(request.tokens).first(request.num_computed), request.blocks, request.salt);
    for (size_t i = 0; (i + 1) * size() <= request.num_computed; ++i) {
      holds_[request.blocks[i]] = {prefix(request, i), request.salt};
    }
  }

  // One token more, or a chunk of the prompt.
  void grow() {
    Request& request = running_[pick(running_.size())];
    if (request.num_computed == request.tokens.size()) {
      if (request.tokens.size() % size() == 0) {
        const std::optional<int32_t> block = requests_.pool.allocate();
        if (!block) return end();
        holds_.erase(*block);
        request.blocks.push_back(*block);
      }
      request.tokens.push_back(static_cast<int32_t>(pick(2)));
    }
    compute(request, 1 + pick(size()));
  }

  void end() {
    const size_t i = pick(running_.size());
    requests_.release(running_[i].blocks);
    running_.erase(running_.begin() + static_cast<long>(i));
  }

  void check() {
    std::map<int32_t, int32_t> owners;
    for (const Request& request : running_) {
      for (const int32_t block : request.blocks) ++owners[block];
    }
    for (int32_t block = 0; block < kBlocks; ++block) {
      ASSERT_EQ(requests_.pool.ref_count(block), owners[block]);
      ASSERT_EQ(requests_.cache.is_known(block), holds_.contains(block));
    }
    ASSERT_EQ(requests_.pool.num_used(), std::ranges::count_if(owners, [](auto& owner) { return owner.second > 0; }));
    // What comes before a known block is known as well.
    for (const auto& [block, held] : holds_) {
      Prefix before = held;
      before.first.resize(before.first.size() - size());
      ASSERT_TRUE(before.first.empty() || is_held(before)) << "block " << block;
    }
  }

  int32_t block_size_;
  PrefixRequests requests_;
  std::mt19937_64 random_;
  std::vector<Request> running_;
  std::map<int32_t, Prefix> holds_;
};

void run(int32_t block_size, HashBlockFn hash, int num_operations) {
  Oracle oracle(block_size, hash, static_cast<uint64_t>(block_size));
  for (int i = 0; i < num_operations; ++i) {
    oracle.operate();
    ASSERT_FALSE(testing::Test::HasFatalFailure()) << "operation " << i << ", blocks of " << block_size;
  }
  EXPECT_GT(oracle.hits, num_operations / 20) << "else the test does not test what it should";
  EXPECT_GT(oracle.misses, num_operations / 200);
  EXPECT_GT(oracle.evictions(), num_operations / 20);
}

TEST(RandomPrefixes, AgreeWithAnOracle) {
  for (const int32_t block_size : {1, 2, 4, 16}) run(block_size, hash_block, 4000);
}

// The same answers from a hash that is hardly one.
TEST(RandomPrefixes, AgreeWhereHashesCollide) {
  const auto bad = [](uint64_t, std::span<const int32_t> tokens, std::string_view) -> uint64_t {
    return tokens[0] & 1;
  };
  for (const int32_t block_size : {2, 4}) run(block_size, bad, 4000);
}

}  // namespace
}  // namespace llm
