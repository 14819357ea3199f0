// Thousands of random steps, forks, cuts, releases and reservations of a PagedKvCache against plain arrays: what each
// sequence holds in every layer, who shares what, and what is free.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "chapters/03_paged_attention/paged_kv_cache.h"
#include "tests/support/gpu_device.h"
#include "tests/support/step.h"
#include "tests/support/tiny_model.h"

namespace llm {
namespace {

// A sequence as plain arrays: its tokens' numbers, and its blocks by names of the test's own.
struct Plain {
  std::vector<float> numbers;
  std::vector<int> blocks;
};

class Oracle {
 public:
  static constexpr int32_t kBlocks = 23, kMaxLength = 40, kMaxSeqs = 3, kIds = 8;

  Oracle(Device device, int32_t block_size, uint64_t seed)
      : block_size_(block_size),
        cache_(tiny_config("llama"), {kBlocks, block_size, kMaxLength, kMaxSeqs}, DType::f32, device),
        random_(seed) {}

  void operate() {
    const int32_t id = pick(kIds), other = pick(kIds);
    const auto kind = pick(12);
    if (kind == 0 || (kind == 6 && cache_.pool().num_free() == 0)) {
      cache_.release(id);
      plain_.erase(id);
    } else if (kind == 1 && plain_.contains(id)) {
      const auto length = static_cast<size_t>(pick(static_cast<int32_t>(plain_[id].numbers.size()) + 1));
      cache_.truncate(id, static_cast<int32_t>(length));
      plain_[id].numbers.resize(length);
      plain_[id].blocks.resize(num_blocks(length));
    } else if (kind <= 4 && plain_.contains(id) && !plain_.contains(other)) {
      cache_.fork(id, other);
      plain_[other] = plain_[id];
      plain_[other].blocks.resize(num_blocks(plain_[id].numbers.size()));
      ++forks;
    } else if (kind == 5) {
      allocate(id, 1 + pick(2 * block_size_));
    } else {
      step();
    }
    check();
  }

  int steps = 0, refusals = 0, forks = 0;
  int64_t copies = 0;

 private:
  using State = std::map<int32_t, Plain>;

  int32_t pick(int32_t count) { return static_cast<int32_t>(random_() % static_cast<uint64_t>(count)); }
  size_t num_blocks(size_t tokens) const {
    const auto size = static_cast<size_t>(block_size_);
    return tokens / size + (tokens % size != 0);
  }

  static int64_t count_owners(const State& state, int block) {
    int64_t owners = 0;
    for (const auto& [id, plain] : state) owners += std::ranges::count(plain.blocks, block);
    return owners;
  }
  static std::set<int> used_blocks(const State& state) {
    std::set<int> used;
    for (const auto& [id, plain] : state) used.insert(plain.blocks.begin(), plain.blocks.end());
    return used;
  }

  // Gives a sequence what it needs to grow by `count`, as the rule says it: a shared block that is partly filled is
  // replaced, then blocks are added.
  void grow(State& state, int32_t id, int32_t count, int64_t& num_copies) {
    Plain& plain = state[id];
    const size_t length = plain.numbers.size(), last = length / static_cast<size_t>(block_size_);
    if (length % static_cast<size_t>(block_size_) != 0 && count_owners(state, plain.blocks[last]) > 1) {
      plain.blocks[last] = next_block_++;
      ++num_copies;
    }
    while (plain.blocks.size() < num_blocks(length + static_cast<size_t>(count))) plain.blocks.push_back(next_block_++);
  }

  void allocate(int32_t id, int32_t count) {
    State after = plain_;
    int64_t num_copies = 0;
    grow(after, id, count, num_copies);
    const auto length = static_cast<int32_t>(after[id].numbers.size());
    const bool fits = used_blocks(after).size() <= kBlocks && length + count <= kMaxLength;
    ASSERT_EQ(cache_.can_allocate(id, count), fits);
    ASSERT_EQ(cache_.allocate(id, count), fits);
    if (!fits) return;
    plain_ = after;
    copies += num_copies;
  }

  void step() {
    std::vector<Part> parts;
    State after = plain_;
    std::set<int32_t> chosen;
    int64_t num_copies = 0;
    bool fits = true;
    for (int32_t i = pick(kMaxSeqs + 1); i >= 0; --i) {
      const int32_t id = pick(kIds), count = 1 + pick(pick(4) == 0 ? 2 * block_size_ + 3 : 3);
      if (!chosen.insert(id).second) continue;
      const auto length = static_cast<int32_t>(after[id].numbers.size());
      parts.emplace_back(id, length, count);
      grow(after, id, count, num_copies);
      fits = fits && length + count <= kMaxLength;
    }
    fits = fits && used_blocks(after).size() <= kBlocks && parts.size() <= kMaxSeqs;
    ++steps;
    refusals += !fits;
    const Step batch(parts);
    ASSERT_EQ(cache_.begin_step(batch), fits);
    if (!fits) return;
    plain_ = after;
    copies += num_copies;
    write(parts);
  }

  // A number for each new token into its slot of every layer, as attention would.
  void write(const std::vector<Part>& parts) {
    const std::vector<int32_t> slots = values(cache_.layer(0).slots), table = values(cache_.layer(0).block_table);
    const int64_t width = cache_.layer(0).block_table.dim(1);
    size_t at = 0;
    for (size_t s = 0; s < parts.size(); ++s) {
      const auto& [id, first_position, count] = parts[s];
      for (int32_t p = first_position; p < first_position + count; ++p, ++at) {
        const int32_t block = table[s * static_cast<size_t>(width) + static_cast<size_t>(p / block_size_)];
        ASSERT_EQ(slots[at], block * block_size_ + p % block_size_);
        plain_[id].numbers.push_back(next_number_);
        for (int layer = 0; layer < 2; ++layer) {
          fill(cache_.layer(layer).k, slots[at], next_number_ + 0.25f * static_cast<float>(layer));
          fill(cache_.layer(layer).v, slots[at], next_number_ + 0.5f + 0.25f * static_cast<float>(layer));
        }
        ++next_number_;
      }
    }
  }

  static void fill(TensorView all, int32_t slot, float number) {
    const Tensor row({1, all.dim(1), all.dim(2)}, DType::f32);
    std::fill_n(row.view().as<float>(), row.view().numel(), number);
    copy(row, all.rows(slot, slot + 1));
  }

  void check() {
    // Blocks of the test and of the cache are the same, two by two, and have as many owners.
    std::map<int, int32_t> real;
    std::set<int32_t> taken;
    for (const auto& [id, plain] : plain_) {
      ASSERT_EQ(cache_.length(id), static_cast<int32_t>(plain.numbers.size()));
      const std::vector<int32_t> blocks = cache_.block_table(id);
      ASSERT_EQ(blocks.size(), plain.blocks.size());
      for (size_t b = 0; b < blocks.size(); ++b) {
        ASSERT_EQ(real.try_emplace(plain.blocks[b], blocks[b]).first->second, blocks[b]);
        taken.insert(blocks[b]);
      }
    }
    ASSERT_EQ(taken.size(), real.size()) << "a block with two owners who did not share it";
    for (const auto& [name, block] : real) ASSERT_EQ(cache_.pool().ref_count(block), count_owners(plain_, name));
    int32_t owned = 0;
    for (int32_t block = 0; block < kBlocks; ++block) owned += cache_.pool().ref_count(block) > 0;
    ASSERT_EQ(owned, static_cast<int32_t>(taken.size()));
    ASSERT_EQ(cache_.pool().num_free() + owned, kBlocks) << "free + used = total";
    ASSERT_EQ(cache_.blocks_copied(), copies);

    for (int layer = 0; layer < 2; ++layer) {
      const float shift = 0.25f * static_cast<float>(layer);
      const Tensor k = to_host(cache_.layer(layer).k), v = to_host(cache_.layer(layer).v);
      const int64_t row = k.view().dim(1) * k.view().dim(2);
      for (const auto& [id, plain] : plain_) {
        for (size_t p = 0; p < plain.numbers.size(); ++p) {
          const int32_t block = real[plain.blocks[p / static_cast<size_t>(block_size_)]];
          const int64_t slot = int64_t{block} * block_size_ + static_cast<int64_t>(p) % block_size_;
          for (const int64_t i : {slot * row, (slot + 1) * row - 1}) {
            ASSERT_EQ(k.view().as<float>()[i], plain.numbers[p] + shift) << "sequence " << id << ", token " << p;
            ASSERT_EQ(v.view().as<float>()[i], plain.numbers[p] + 0.5f + shift);
          }
        }
      }
    }
  }

  int32_t block_size_;
  PagedKvCache cache_;
  std::mt19937_64 random_;
  State plain_;
  int next_block_ = 1000;  // no number that the cache uses
  float next_number_ = 1.0f;
};

class RandomOperations : public testing::TestWithParam<Device> {
 protected:
  void SetUp() override { LLM_SKIP_WITHOUT(GetParam()); }
};

TEST_P(RandomOperations, AgreeWithPlainArrays) {
  const int num_operations = GetParam() == Device::cpu ? 4000 : 1000;
  for (const int32_t block_size : {1, 2, 8, 16}) {
    Oracle oracle(GetParam(), block_size, static_cast<uint64_t>(block_size));
    for (int i = 0; i < num_operations; ++i) {
      oracle.operate();
      ASSERT_FALSE(testing::Test::HasFatalFailure()) << "operation " << i << ", blocks of " << block_size;
    }
    EXPECT_GT(oracle.steps - oracle.refusals, num_operations / 20) << "else the test does not test what it should";
    EXPECT_GT(oracle.refusals, num_operations / 50);
    EXPECT_GT(oracle.forks, num_operations / 100);
    if (block_size > 1) {
      EXPECT_GT(oracle.copies, num_operations / 200);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, RandomOperations, testing::Values(Device::cpu, Device::simt, Device::cuda),
                         [](const auto& test) { return std::string(name_of(test.param)); });

}  // namespace
}  // namespace llm
