// After every round both caches hold just what a fresh prefill of the accepted tokens leaves, to the last bit.
#include <gtest/gtest.h>

#include <cstring>

#include "tests/chapters/06_speculative_decoding/speculative_testing.h"
#include "tests/common/ops/ops_testing.h"

namespace llm {
namespace {

// Keys and values of all layers at a sequence's positions, where `slot_of` finds them.
template <class SlotOf>
std::vector<float> contents(const Transformer& model, KvMemory& memory, int32_t length, const SlotOf& slot_of) {
  std::vector<float> numbers;
  const int64_t size = model.config().num_kv_heads * model.config().head_dim;
  for (int layer = 0; layer < model.config().num_layers; ++layer) {
    const KvView view = memory.layer(layer);
    for (const TensorView& part : {view.k, view.v}) {
      for (int32_t p = 0; p < length; ++p) {
        const float* const begin = part.as<float>() + slot_of(p) * size;
        numbers.insert(numbers.end(), begin, begin + size);
      }
    }
  }
  return numbers;
}

std::vector<float> fresh_prefill(const Transformer& model, std::span<const int32_t> tokens) {
  ContiguousKvCache cache(model.config(), model.config().context_length, 1, DType::f32);
  Batch batch(model.config().context_length, 1);
  batch.add(0, tokens, 0, LogitRows::last);
  EXPECT_TRUE(cache.begin_step(batch));
  StepRunner runner(model, model.ops().attend);
  runner.run(batch, cache);
  return contents(model, cache, static_cast<int32_t>(tokens.size()), [](int32_t p) { return p; });
}

bool same(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

TEST(RollBack, BothCachesHoldTheAcceptedTokensAlone) {
  const Threads one(1);
  for (const double temperature : {0.0, 1.2}) {
    const auto model = tiny_transformer(tiny_config("llama"), 21);
    const auto draft = noisy_transformer(tiny_config("llama"), 21, 0.1f);
    PagedKvCache memory(model->config(), {40, 4, 48, 3}, DType::f32);
    PagedKvCache draft_memory(draft->config(), {60, 2, 48, 3}, DType::f32);
    ModelDrafter drafter(*draft, draft_memory, draft->ops().attend, 60, 3, 1);
    SpeculativeGeneration speculative(*model, memory, model->ops().attend, drafter, 60, 3);
    std::vector<SpeculativeSequence> texts;
    for (int32_t id = 0; id < 3; ++id) {
      GenerationParams params{.max_tokens = 40, .ignore_eos = true, .sampling = {}};
      params.sampling.temperature = temperature;
      params.sampling.seed = static_cast<uint64_t>(id);
      texts.push_back({{id, Generation({id, 5, 7}, model->config(), params)}, 1 + 2 * id});
    }
    int64_t rolled_back = 0, all_accepted = 0;
    std::vector<SpeculativeSequence*> running = {&texts[0], &texts[1], &texts[2]};
    while (!running.empty()) {
      ASSERT_TRUE(speculative.step(running));
      for (const SpeculativeSequence* text : running) {
        const Ids& all = text->generation.all();
        const auto known = static_cast<int32_t>(all.size()) - 1;
        ASSERT_EQ(memory.length(text->id), known);
        ASSERT_EQ(text->num_computed_tokens, known);
        const auto check = [&](const Transformer& of, PagedKvCache& cache, int32_t length) {
          const std::vector<int32_t> blocks = cache.block_table(text->id);
          const auto slot_of = [&](int32_t p) {
            return blocks[static_cast<size_t>(p / cache.block_size())] * cache.block_size() + p % cache.block_size();
          };
          ASSERT_EQ(std::ssize(blocks), cache.num_blocks_for(length)) << "rejected tokens hold no block";
          ASSERT_TRUE(same(contents(of, cache, length, slot_of),
                           fresh_prefill(of, std::span(all).first(static_cast<size_t>(length)))));
        };
        check(*model, memory, known);
        if (text->rounds.empty()) continue;
        const Round& round = text->rounds.back();
        const int64_t drafted = std::ssize(round.drafted);
        const bool stood = drafted > 0 && round.num_accepted() == drafted && std::ssize(round.added) > drafted;
        if (drafted > 0) {
          ASSERT_EQ(drafter.length(text->id), stood ? known - 1 : known);
        }
        check(*draft, draft_memory, drafter.length(text->id));
        rolled_back += round.num_accepted() < drafted;
        all_accepted += stood;
      }
      std::erase_if(running, [](const SpeculativeSequence* text) { return text->generation.finished(); });
    }
    EXPECT_GT(rolled_back, 5) << "else nothing was taken back";
    EXPECT_GT(all_accepted, 5) << "and the draft never lacked a token";
  }
}

// The contiguous cache of chapter 2, one text.
TEST(RollBack, InAContiguousCache) {
  const Threads one(1);
  const auto model = tiny_transformer(tiny_config("qwen3"), 22);
  const GenerationParams params{.max_tokens = 30, .ignore_eos = true, .sampling = {}};
  const Ids script = generate_naive(*model, {4, 5}, params).all();
  ScriptedDrafter drafter({{0, script}}, 0.6, 131);
  ContiguousKvCache memory(model->config(), 48, 1, DType::f32);
  generate_speculative(*model, memory, model->ops().attend, drafter, {4, 5}, params, 5, [&](const Round&) {
    const int32_t length = memory.length(0);
    ASSERT_TRUE(same(contents(*model, memory, length, [](int32_t p) { return p; }),
                     fresh_prefill(*model, std::span(script).first(static_cast<size_t>(length)))));
  });
  EXPECT_EQ(memory.length(0), std::ssize(script) - 1);
}

}  // namespace
}  // namespace llm
