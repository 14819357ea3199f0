// The logits out of blocks are chapter 1's, bit for bit on the CPU, whatever the block size, where a text was forked,
// and in which order blocks come; and on a GPU, or its simulator, those of a contiguous cache on the same device.
#include <gtest/gtest.h>
#include <numeric>

#include "chapters/01_naive_generation/naive_generation.h"
#include "chapters/02_kv_cache/cached_generation.h"
#include "chapters/02_kv_cache/contiguous_kv_cache.h"
#include "chapters/03_paged_attention/batched_generation.h"
#include "chapters/03_paged_attention/paged_kv_cache.h"
#include "tests/common/ops/ops_testing.h"
#include "tests/support/gpu_device.h"
#include "tests/support/logits.h"
#include "tests/support/tiny_model.h"

namespace llm {
namespace {

using Ids = std::vector<int32_t>;

constexpr int32_t kBlockSizes[] = {1, 2, 4, 8, 16, 32, 64, 128, 256};

// Blocks that come in a random order from now on.
void shuffle_free_list(BlockPool& pool, std::mt19937_64& random) {
  std::vector<int32_t> blocks;
  while (const auto block = pool.allocate()) blocks.push_back(*block);
  std::shuffle(blocks.begin(), blocks.end(), random);
  for (const int32_t block : blocks) pool.release(block);
}

PagedKvCache make_cache(const Transformer& model, int32_t num_slots, int32_t block_size, int32_t max_seqs) {
  const int32_t num_blocks = (num_slots + block_size - 1) / block_size + 4 * max_seqs;
  return {
      model.config(), {num_blocks, block_size, model.config().context_length, max_seqs}, model.dtype(), model.device()};
}

// A family of texts: the first, and others that leave it somewhere.
struct Forked {
  Ids ids;
  size_t parent, fork_at;  // the first ids[0 .. fork_at) are the parent's
  Rows logits;             // chapter 1's, after each token
};

std::vector<Forked> make_family(const Transformer& model, uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto context = static_cast<uint64_t>(model.config().context_length);
  std::vector<Forked> family;
  for (size_t i = 0; i < 5; ++i) {
    Forked text{{}, i == 0 ? 0 : random() % i, 0, {}};
    if (i > 0) {
      const Ids& parent = family[text.parent].ids;
      text.fork_at = 1 + random() % parent.size();
      text.ids.assign(parent.begin(), parent.begin() + static_cast<long>(text.fork_at));
    }
    const uint64_t more = 1 + random() % (context - text.fork_at + (i == 0 ? 0 : 1));
    const Ids own =
        random_ids(random, static_cast<int64_t>(std::min(more, context - text.fork_at)), model.config().vocab_size);
    text.ids.insert(text.ids.end(), own.begin(), own.end());
    text.logits = naive_logits(model, text.ids);
    family.push_back(text);
  }
  return family;
}

// Feeds the family in ragged chunks. Each text is forked from its parent as soon as that has come so far, sometimes
// further: then the child is cut back. Checks every row.
void feed(const Transformer& model, PagedKvCache& cache, const std::vector<Forked>& family, std::mt19937_64& random) {
  std::vector<size_t> done(family.size(), 0);
  std::vector<bool> alive(family.size(), false);
  alive[0] = true;
  const auto some_left = [&] {
    for (size_t t = 0; t < family.size(); ++t) {
      if (done[t] < family[t].ids.size()) return true;
    }
    return false;
  };
  while (some_left()) {
    for (size_t t = 1; t < family.size(); ++t) {
      const auto& [ids, parent, fork_at, logits] = family[t];
      if (alive[t] || !alive[parent] || done[parent] < fork_at) continue;
      if (done[parent] < family[parent].ids.size() && random() % 2 == 0) continue;  // later
      cache.fork(static_cast<int32_t>(parent), static_cast<int32_t>(t));
      cache.truncate(static_cast<int32_t>(t), static_cast<int32_t>(fork_at));
      done[t] = fork_at;
      alive[t] = true;
    }
    Batch batch(1000, std::ssize(family));
    std::vector<std::pair<size_t, size_t>> asked;  // text, token
    for (size_t t = 0; t < family.size(); ++t) {
      const size_t left = alive[t] ? family[t].ids.size() - done[t] : 0;
      if (left == 0 || random() % 3 == 0) continue;
      const size_t count = 1 + random() % std::min<size_t>(left, 9);
      batch.add(static_cast<int32_t>(t), std::span(family[t].ids).subspan(done[t], count),
                static_cast<int32_t>(done[t]), LogitRows::all);
      for (size_t k = 0; k < count; ++k) asked.emplace_back(t, done[t]++);
    }
    if (batch.num_seqs() == 0) continue;
    const Rows rows = forward(model, cache, batch);
    ASSERT_EQ(rows.size(), asked.size());
    for (size_t i = 0; i < rows.size(); ++i) {
      const auto& [t, token] = asked[i];
      ASSERT_TRUE(same_bits(rows[i], family[t].logits[token])) << "text " << t << ", token " << token;
    }
  }
}

TEST(PagedLogits, WhateverTheBlocksForksAndOrder) {
  int64_t copies = 0;
  for (const std::string& family_name : tiny_families()) {  // grouped, one and as many KV heads as heads
    for (const DType dtype : {DType::f32, DType::bf16}) {
      const auto model = tiny_transformer(tiny_config(family_name), 20, dtype);
      omp_set_num_threads(1);
      const std::vector<Forked> family = make_family(*model, seed_of(family_name, 3));
      std::mt19937_64 random(11);
      for (const int32_t block_size : kBlockSizes) {
        const testing::ScopedTrace trace(__FILE__, __LINE__,
                                         fmt::format("{} {}, blocks of {}", family_name, name_of(dtype), block_size));
        for (int round = 0; round < 3; ++round) {
          omp_set_num_threads(1 + round / 2);
          PagedKvCache cache = make_cache(*model, 5 * 48, block_size, 5);
          shuffle_free_list(cache.pool(), random);
          feed(*model, cache, family, random);
          if (testing::Test::HasFatalFailure()) return;
          copies += cache.blocks_copied();
        }
      }
    }
  }
  omp_set_num_threads(omp_get_num_procs());
  EXPECT_GT(copies, 100) << "else copy-on-write was not tested";
}

// Greedy and sampled, to the length or to the context's end.
TEST(PagedLogits, GenerationsAreChapter1s) {
  const Threads one(1);
  for (const std::string& family : tiny_families()) {
    const auto model = tiny_transformer(tiny_config(family), 10);
    std::mt19937_64 random(seed_of(family, 1));
    for (const int64_t prompt_len : {1, 16, 31, 47}) {
      const Ids prompt = random_ids(random, prompt_len, model->config().vocab_size);
      GenerationParams params{.max_tokens = 1000, .ignore_eos = true, .sampling = {}};
      if (prompt_len == 16) params.sampling = {.temperature = 1.5, .top_k = 40, .top_p = 0.9, .min_p = 0, .seed = 5};
      const Generation naive = generate_naive(*model, prompt, params);
      for (const int32_t block_size : kBlockSizes) {
        PagedKvCache cache = make_cache(*model, 48, block_size, 1);
        shuffle_free_list(cache.pool(), random);
        const Generation paged = generate_cached(*model, cache, model->ops().attend, prompt, params);
        ASSERT_EQ(paged.token_ids(), naive.token_ids()) << family << ", blocks of " << block_size;
        ASSERT_EQ(paged.top_gaps(), naive.top_gaps()) << family << ", blocks of " << block_size;
      }
    }
  }
}

class PagedOnGpu : public testing::TestWithParam<std::tuple<Device, DType>> {
 protected:
  void SetUp() override { LLM_SKIP_WITHOUT(std::get<0>(GetParam())); }

  std::shared_ptr<const Transformer> make_model(const std::string& family) const {
    SeededWeights weights(30);
    return std::make_shared<Transformer>(tiny_config(family), weights, std::get<1>(GetParam()),
                                         std::get<0>(GetParam()));
  }
};

// Ragged chunks, several queries a sequence: the same bits as from a contiguous cache.
TEST_P(PagedOnGpu, ChunksAsFromAContiguousCache) {
  for (const std::string& family : tiny_families()) {
    if (std::get<0>(GetParam()) == Device::simt && family != tiny_families().front()) continue;  // it is slow
    const auto model = make_model(family);
    std::mt19937_64 random(2);
    const std::vector<Ids> texts = {random_ids(random, 35, 131), random_ids(random, 19, 131),
                                    random_ids(random, 7, 131)};
    const std::vector<std::array<size_t, 3>> ends = {{17, 1, 0}, {18, 17, 6}, {34, 18, 7}, {35, 19, 7}};
    const auto run = [&](KvMemory& memory) {
      Rows all;
      std::array<size_t, 3> done{};
      for (const auto& end : ends) {
        Batch batch(100, 3, model->device());
        for (size_t t = 0; t < texts.size(); ++t) {
          if (end[t] == done[t]) continue;
          batch.add(static_cast<int32_t>(t), std::span(texts[t]).subspan(done[t], end[t] - done[t]),
                    static_cast<int32_t>(done[t]), LogitRows::all);
        }
        done = end;
        const Rows rows = forward(*model, memory, batch);
        all.insert(all.end(), rows.begin(), rows.end());
      }
      return all;
    };
    ContiguousKvCache contiguous(model->config(), 48, 3, model->dtype(), model->device());
    const Rows expected = run(contiguous);
    for (const int32_t block_size : {1, 16, 256}) {
      if (block_size != 16 && family != tiny_families().front()) continue;  // the kernel knows nothing of families
      PagedKvCache paged = make_cache(*model, 100, block_size, 3);
      shuffle_free_list(paged.pool(), random);
      const Rows actual = run(paged);
      ASSERT_EQ(actual.size(), expected.size());
      for (size_t i = 0; i < actual.size(); ++i) {
        ASSERT_TRUE(same_bits(actual[i], expected[i])) << family << ", blocks of " << block_size << ", row " << i;
      }
    }
  }
}

// Recorded steps replayed while tables grow, blocks are copied, and the number of sequences changes.
TEST_P(PagedOnGpu, ForkedTextsInReplayedSteps) {
  const auto model = make_model("llama");
  const Ids prompt = {5, 9, 17, 33, 65, 12, 3};
  const auto params = [](int i) {
    return GenerationParams{.max_tokens = 9 + i,
                            .ignore_eos = true,
                            .sampling = {.temperature = 1.5, .seed = 7ull + static_cast<uint64_t>(i)}};
  };
  std::vector<Generation> alone;
  for (int i = 0; i < 3; ++i) {
    ContiguousKvCache cache(model->config(), 48, 1, model->dtype(), model->device());
    alone.push_back(generate_cached(*model, cache, model->ops().attend, prompt, params(i)));
  }
  PagedKvCache cache(model->config(), {30, 4, 48, 3}, model->dtype(), model->device());
  BatchedGeneration batched(*model, cache, model->ops().attend, 20, 3);
  std::vector<Text> sequences;
  for (int i = 0; i < 3; ++i) sequences.push_back({i, Generation(prompt, model->config(), params(i))});
  std::vector<Text*> running = {&sequences[0]};
  ASSERT_TRUE(batched.step(running));
  for (int i = 1; i < 3; ++i) {
    cache.fork(0, i);
    sequences[static_cast<size_t>(i)].num_computed_tokens = 7;
    sequences[static_cast<size_t>(i)].generation.sample(batched.logits(0), 0);
    running.push_back(&sequences[static_cast<size_t>(i)]);
  }
  while (true) {
    std::erase_if(running, [](const Text* s) { return s->generation.finished(); });
    if (running.empty()) break;
    ASSERT_TRUE(batched.step(running));
  }
  EXPECT_EQ(cache.blocks_copied(), 2);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(sequences[i].generation.token_ids(), alone[i].token_ids()) << i;
}

INSTANTIATE_TEST_SUITE_P(Devices, PagedOnGpu,
                         testing::Combine(testing::Values(Device::simt, Device::cuda),
                                          testing::Values(DType::f32, DType::bf16)),
                         [](const auto& test) {
                           return std::string(name_of(std::get<0>(test.param))) + "_" +
                                  name_of(std::get<1>(test.param));
                         });

}  // namespace
}  // namespace llm
