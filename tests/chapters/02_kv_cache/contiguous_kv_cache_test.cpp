#include "chapters/02_kv_cache/contiguous_kv_cache.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <vector>

#include "tests/support/step.h"
#include "tests/support/tiny_model.h"

namespace llm {
namespace {

using Ids = std::vector<int32_t>;

TEST(ContiguousKvCache, ASequenceFillsItsStretchFromTheFront) {
  const ModelConfig config = tiny_config("llama");
  ContiguousKvCache cache(config, 10, 3, DType::f32);
  ASSERT_TRUE(cache.begin_step(Step({{5, 0, 4}})));
  EXPECT_EQ(values(cache.layer(0).slots), (Ids{0, 1, 2, 3}));
  EXPECT_EQ(values(cache.layer(0).block_table), Ids{0});
  EXPECT_EQ(cache.layer(0).block_table.shape, (Shape{1, 1}));
  EXPECT_EQ(cache.layer(0).block_size, 10);
  ASSERT_TRUE(cache.begin_step(Step({{5, 4, 1}})));
  EXPECT_EQ(values(cache.layer(0).slots), Ids{4});
  EXPECT_EQ(cache.length(5), 5);
  EXPECT_EQ(cache.length(6), 0) << "never seen";
}

// A decoding sequence, a prompt's chunk and a newcomer in one step, in an order of their own.
TEST(ContiguousKvCache, SeveralSequencesRagged) {
  ContiguousKvCache cache(tiny_config("llama"), 10, 3, DType::f32);
  ASSERT_TRUE(cache.begin_step(Step({{7, 0, 2}, {8, 0, 3}})));
  EXPECT_EQ(values(cache.layer(0).slots), (Ids{0, 1, 10, 11, 12}));
  ASSERT_TRUE(cache.begin_step(Step({{9, 0, 2}, {8, 3, 4}, {7, 2, 1}})));
  EXPECT_EQ(values(cache.layer(0).slots), (Ids{20, 21, 13, 14, 15, 16, 2}));
  EXPECT_EQ(values(cache.layer(0).block_table), (Ids{2, 1, 0}));
  EXPECT_EQ(cache.length(7), 3);
  EXPECT_EQ(cache.length(8), 7);
  EXPECT_EQ(cache.length(9), 2);
  ASSERT_TRUE(cache.begin_step(Step({{8, 7, 3}})));  // alone, and to its end
  EXPECT_EQ(values(cache.layer(0).slots), (Ids{17, 18, 19}));
  EXPECT_EQ(values(cache.layer(0).block_table), Ids{1});
}

TEST(ContiguousKvCache, EveryLayerHasItsOwnKeysAndValues) {
  const ModelConfig config = tiny_config("qwen3");
  ContiguousKvCache cache(config, 4, 2, DType::bf16);
  ASSERT_TRUE(cache.begin_step(Step({{0, 0, 1}})));
  std::set<void*> places;
  for (int layer = 0; layer < config.num_layers; ++layer) {
    const KvView kv = cache.layer(layer);
    EXPECT_EQ(kv.k.shape, (Shape{8, config.num_kv_heads, config.head_dim}));
    EXPECT_EQ(kv.v.shape, kv.k.shape);
    EXPECT_EQ(kv.k.dtype, DType::bf16);
    places.insert({kv.k.data, kv.v.data});
  }
  EXPECT_EQ(places.size(), static_cast<size_t>(2 * config.num_layers));
}

// Issue: KV bytes per token = 2 · layers · kv heads · head_dim · bytes. Worked by hand for the three tiny shapes.
TEST(ContiguousKvCache, TakesWhatTheFormulaSays) {
  const std::map<std::string, int64_t> numbers_per_token = {
      {"llama", 2 * 2 * 2 * 6}, {"qwen2", 2 * 2 * 1 * 8}, {"qwen3", 2 * 3 * 3 * 10}};
  for (const auto& [family, numbers] : numbers_per_token) {
    const ModelConfig config = tiny_config(family);
    for (const DType dtype : {DType::f32, DType::bf16}) {
      for (const int64_t max_length : {1, 31, 48}) {
        for (const int64_t max_seqs : {1, 3}) {
          const ContiguousKvCache cache(config, max_length, max_seqs, dtype);
          const int64_t bytes = numbers * (dtype == DType::f32 ? 4 : 2);
          EXPECT_EQ(static_cast<int64_t>(cache.nbytes()), bytes * max_length * max_seqs) << family;
          EXPECT_EQ(config.kv_bytes_per_token(size_of(dtype)), bytes) << family;
        }
      }
    }
  }
}

TEST(ContiguousKvCache, ARefusalChangesNothing) {
  ContiguousKvCache cache(tiny_config("llama"), 6, 2, DType::f32);
  ASSERT_TRUE(cache.begin_step(Step({{1, 0, 4}})));
  const auto look = [&] {
    const KvView kv = cache.layer(1);
    return std::tuple(values(kv.slots), values(kv.block_table), kv.k.data, cache.length(1), cache.length(2),
                      cache.length(3));
  };
  const auto before = look();
  EXPECT_FALSE(cache.begin_step(Step({{2, 0, 1}, {1, 4, 3}}))) << "1 outgrows its stretch";
  EXPECT_EQ(look(), before);
  EXPECT_FALSE(cache.begin_step(Step({{2, 0, 1}, {1, 4, 1}, {3, 0, 1}}))) << "one stretch for two newcomers";
  EXPECT_EQ(look(), before);
  EXPECT_FALSE(cache.begin_step(Step({{2, 0, 7}}))) << "longer than any stretch";
  EXPECT_EQ(look(), before);
  EXPECT_TRUE(cache.begin_step(Step({{1, 4, 2}, {2, 0, 6}}))) << "all that there is room for";
  EXPECT_EQ(cache.length(1), 6);
  EXPECT_EQ(cache.length(2), 6);
}

TEST(ContiguousKvCache, TruncateThenGoOn) {
  ContiguousKvCache cache(tiny_config("llama"), 8, 2, DType::f32);
  ASSERT_TRUE(cache.begin_step(Step({{1, 0, 6}, {2, 0, 2}})));
  cache.truncate(1, 3);
  EXPECT_EQ(cache.length(1), 3);
  EXPECT_EQ(cache.length(2), 2);
  ASSERT_TRUE(cache.begin_step(Step({{1, 3, 2}})));
  EXPECT_EQ(values(cache.layer(0).slots), (Ids{3, 4}));
  cache.truncate(1, 5);  // to where it is
  EXPECT_EQ(cache.length(1), 5);
  cache.truncate(1, 0);  // it keeps its stretch
  EXPECT_FALSE(cache.begin_step(Step({{3, 0, 1}})));
  EXPECT_TRUE(cache.begin_step(Step({{1, 0, 8}})));
}

TEST(ContiguousKvCache, ReleasedStretchesServeOthers) {
  ContiguousKvCache cache(tiny_config("llama"), 4, 2, DType::f32);
  ASSERT_TRUE(cache.begin_step(Step({{1, 0, 4}, {2, 0, 1}})));
  EXPECT_FALSE(cache.begin_step(Step({{3, 0, 1}})));
  cache.release(1);
  EXPECT_EQ(cache.length(1), 0);
  ASSERT_TRUE(cache.begin_step(Step({{3, 0, 2}, {2, 1, 1}})));
  EXPECT_EQ(values(cache.layer(0).slots), (Ids{0, 1, 5}));
  cache.release(99);  // unknown: nothing to forget
  EXPECT_FALSE(cache.begin_step(Step({{1, 0, 1}}))) << "the released one comes back as a stranger";
  cache.release(2);
  EXPECT_TRUE(cache.begin_step(Step({{1, 0, 1}})));
}

TEST(ContiguousKvCache, RefusesGapsAndWrongCuts) {
  ContiguousKvCache cache(tiny_config("llama"), 8, 2, DType::f32);
  ASSERT_TRUE(cache.begin_step(Step({{1, 0, 3}})));
  EXPECT_THROW(cache.begin_step(Step({{1, 4, 1}})), std::logic_error) << "position 3 was left out";
  EXPECT_THROW(cache.begin_step(Step({{1, 2, 1}})), std::logic_error) << "position 2 came before";
  EXPECT_THROW(cache.truncate(1, 4), std::logic_error);
  EXPECT_THROW(cache.truncate(1, -1), std::logic_error);
  EXPECT_THROW(cache.truncate(5, 0), std::logic_error) << "unknown";
}

// Thousands of random steps, cuts and releases against plain arrays: what each sequence holds, and who owns each slot.
class ContiguousKvCacheOracle {
 public:
  static constexpr int32_t kMaxLength = 13, kMaxSeqs = 4, kIds = 7;

  ContiguousKvCacheOracle(const ModelConfig& config, uint64_t seed)
      : cache_(config, kMaxLength, kMaxSeqs, DType::f32), random_(seed) {}

  void operate() {
    const uint64_t kind = random_() % 10;
    const int32_t id = pick(kIds);
    if (kind == 0) {
      cache_.release(id);
      held_.erase(id);
    } else if (kind == 1 && held_.contains(id)) {
      const int32_t length = pick(static_cast<int32_t>(held_[id].size()) + 1);
      cache_.truncate(id, length);
      held_[id].resize(static_cast<size_t>(length));
    } else {
      step();
    }
    check();
  }

  int steps = 0, refusals = 0;

 private:
  int32_t pick(int32_t count) { return static_cast<int32_t>(random_() % static_cast<uint64_t>(count)); }

  // Some sequences with some tokens each. A token's number is written to its slot as attention would.
  void step() {
    std::vector<Part> parts;
    std::set<int32_t> chosen;
    size_t newcomers = 0;
    bool fits = true;
    for (int32_t i = pick(3); i >= 0; --i) {
      const int32_t id = pick(kIds), count = 1 + pick(pick(4) == 0 ? kMaxLength + 1 : 3);
      if (!chosen.insert(id).second) continue;
      const int32_t length = held_.contains(id) ? static_cast<int32_t>(held_[id].size()) : 0;
      parts.emplace_back(id, length, count);
      newcomers += !held_.contains(id);
      fits = fits && length + count <= kMaxLength;
    }
    fits = fits && held_.size() + newcomers <= kMaxSeqs;
    ++steps;
    refusals += !fits;
    const Step batch(parts);
    ASSERT_EQ(cache_.begin_step(batch), fits);
    if (!fits) return;

    const KvView kv = cache_.layer(0);
    const Ids slots = values(kv.slots), table = values(kv.block_table);
    ASSERT_EQ(static_cast<int64_t>(slots.size()), batch.num_tokens());
    ASSERT_EQ(table.size(), parts.size());
    size_t at = 0;
    for (size_t s = 0; s < parts.size(); ++s) {
      const auto& [id, first_position, count] = parts[s];
      for (int32_t p = first_position; p < first_position + count; ++p, ++at) {
        ASSERT_EQ(slots[at], table[s] * kv.block_size + p);
        ASSERT_GE(slots[at], 0);
        ASSERT_LT(slots[at], kMaxLength * kMaxSeqs);
        const float number = next_number_++;
        kv.k.as<float>()[slots[at] * kv.k.dim(1) * kv.k.dim(2)] = number;
        held_[id].push_back(number);
      }
      blocks_[id] = table[s];
    }
  }

  // Every sequence still finds all its numbers, in order, and no stretch has two owners.
  void check() {
    std::set<int32_t> owned;
    for (int32_t id = 0; id < kIds; ++id) {
      const bool known = held_.contains(id);
      ASSERT_EQ(cache_.length(id), known ? static_cast<int32_t>(held_[id].size()) : 0);
      if (!known) continue;
      ASSERT_TRUE(owned.insert(blocks_[id]).second) << "two sequences in one stretch";
      const TensorView k = cache_.layer(0).k;
      for (size_t p = 0; p < held_[id].size(); ++p) {
        const int64_t slot = blocks_[id] * kMaxLength + static_cast<int64_t>(p);
        ASSERT_EQ(k.as<float>()[slot * k.dim(1) * k.dim(2)], held_[id][p]);
      }
    }
  }

  ContiguousKvCache cache_;
  std::mt19937_64 random_;
  std::map<int32_t, std::vector<float>> held_;  // by sequence: the numbers of its tokens
  std::map<int32_t, int32_t> blocks_;           // by sequence: its stretch, as the table said
  float next_number_ = 1.0f;
};

TEST(ContiguousKvCache, RandomOperations) {
  for (uint64_t seed = 0; seed < 3; ++seed) {
    ContiguousKvCacheOracle oracle(tiny_config("llama"), seed);
    for (int i = 0; i < 4000; ++i) {
      oracle.operate();
      ASSERT_FALSE(testing::Test::HasFatalFailure()) << "operation " << i << " of seed " << seed;
    }
    EXPECT_GT(oracle.refusals, 300);
    EXPECT_GT(oracle.steps - oracle.refusals, 300);
  }
}

}  // namespace
}  // namespace llm
