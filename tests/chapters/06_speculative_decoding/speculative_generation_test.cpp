// The greedy text is chapter 1's, whoever drafts.
#include "chapters/06_speculative_decoding/speculative_generation.h"

#include <gtest/gtest.h>

#include "chapters/06_speculative_decoding/round_view.h"
#include "common/program/same_output.h"
#include "tests/chapters/06_speculative_decoding/speculative_testing.h"
#include "tests/common/ops/ops_testing.h"
#include "tests/support/gpu_device.h"

namespace llm {
namespace {

// All drafters that there are, for one text.
struct Drafters {
  Drafters(const Transformer& draft, const Ids& script) : memory(make_memory(draft, 0, 1)) {
    const ModelConfig& config = draft.config();
    all.push_back(std::make_unique<ModelDrafter>(draft, *memory, draft.ops().attend, config.context_length, 1, 1));
    all.push_back(std::make_unique<NgramDrafter>(3));
    for (const double acceptance : {0.0, 0.5, 0.9, 1.0}) {
      all.push_back(
          std::make_unique<ScriptedDrafter>(std::map<int32_t, Ids>{{0, script}}, acceptance, config.vocab_size));
    }
  }

  std::unique_ptr<KvMemory> memory;
  std::vector<std::unique_ptr<Drafter>> all;
};

TEST(SpeculativeGeneration, SaysWhatChapterOneSays) {
  const Threads one(1);  // the texts are short
  RoundCounts by_model;
  for (const std::string& family : tiny_families()) {
    ModelConfig config = tiny_config(family);
    config.eos_token_ids = {2, 30, 57};  // so that some end early, in the middle of a draft
    const auto model = tiny_transformer(config, 4), draft = noisy_transformer(config, 4, 0.12f, DType::bf16);
    std::mt19937_64 random(7);
    for (const int64_t prompt_len : {1, 2, 16, 31, 46, 47}) {
      const Ids prompt = random_ids(random, prompt_len, config.vocab_size);
      const GenerationParams params{
          .max_tokens = prompt_len == 2 ? 9 : 100, .ignore_eos = prompt_len == 16, .sampling = {}};
      const Generation naive = generate_naive(*model, prompt, params);
      for (int k = 1; k <= 8; ++k) {
        for (const int32_t block_size : {0, 4}) {
          Drafters drafters(*draft, naive.all());
          for (size_t i = 0; i < drafters.all.size(); ++i) {
            const auto memory = make_memory(*model, block_size, 1);
            const SpeculativeSequence text =
                generate_speculative(*model, *memory, model->ops().attend, *drafters.all[i], prompt, params, k);
            const std::string what =
                fmt::format("{}, prompt {}, k {}, blocks {}, drafter {}", family, prompt_len, k, block_size, i);
            ASSERT_EQ(text.generation.token_ids(), naive.token_ids()) << what;
            ASSERT_EQ(text.generation.top_gaps(), naive.top_gaps()) << what;
            ASSERT_EQ(text.generation.finish_reason(), naive.finish_reason()) << what;
            const RoundCounts counts = count_rounds(text.rounds);
            ASSERT_EQ(counts.tokens, std::ssize(naive.token_ids()) - 1) << what;
            int64_t left = std::min<int64_t>(params.max_tokens, config.context_length - prompt_len) - 1;
            for (const Round& round : text.rounds) {
              ASSERT_LT(std::ssize(round.drafted), left) << what << ": the target adds one itself";
              left -= std::ssize(round.added);
            }
            ASSERT_EQ(text.generation.token_passes(), prompt_len + counts.drafted + counts.rounds) << what;
            if (i == 2) {
              ASSERT_EQ(counts.accepted, 0) << what;
            }
            if (i == 5) {
              ASSERT_EQ(counts.accepted, counts.drafted) << what;
            }
            if (i == 0) by_model.accepted += counts.accepted, by_model.judged += counts.judged;
          }
        }
      }
    }
  }
  EXPECT_GT(by_model.acceptance(), 0.2) << "else the draft model was never right";
  EXPECT_LT(by_model.acceptance(), 0.9) << "or never wrong";
}

// ---- several texts ----

struct Many {
  std::vector<SpeculativeSequence> texts;
  std::vector<Generation> naive;
};

// With drafts of 0, 1, 3, 8, ... tokens, prompts of several lengths and limits of their own.
Many make_many(const Transformer& model, const SamplingParams& sampling) {
  Many many;
  std::mt19937_64 random(3);
  for (int32_t id = 0; id < 6; ++id) {
    const Ids prompt = random_ids(random, 1 + 5 * id, 131);
    GenerationParams params{.max_tokens = 20 + 2 * id, .ignore_eos = true, .sampling = sampling};
    params.sampling.seed += static_cast<uint64_t>(id);
    const int ks[] = {0, 1, 3, 8, 2, 5};
    many.texts.push_back({{id, Generation(prompt, model.config(), params)}, ks[id]});
    many.naive.push_back(generate_naive(model, prompt, params));
  }
  return many;
}

void run_all(SpeculativeGeneration& speculative, std::vector<SpeculativeSequence>& texts) {
  std::vector<SpeculativeSequence*> running;
  for (SpeculativeSequence& text : texts) running.push_back(&text);
  while (!running.empty()) {
    ASSERT_TRUE(speculative.step(running));
    std::erase_if(running, [](const SpeculativeSequence* text) { return text->generation.finished(); });
    std::ranges::reverse(running);  // the order in the batch is nobody's business
  }
}

TEST(SpeculativeGeneration, SeveralTextsInOnePass) {
  const Threads one(1);
  const auto model = tiny_transformer(tiny_config("llama"), 8);
  for (const int32_t block_size : {0, 4}) {
    Many many = make_many(*model, {});
    std::map<int32_t, Ids> scripts;
    for (const SpeculativeSequence& text : many.texts) {
      scripts[text.id] = many.naive[static_cast<size_t>(text.id)].all();
    }
    ScriptedDrafter drafter(scripts, 0.7, 131);
    const auto memory = make_memory(*model, block_size, 6);
    SpeculativeGeneration speculative(*model, *memory, model->ops().attend, drafter, 200, 6);
    run_all(speculative, many.texts);
    int64_t accepted = 0, rejected = 0;
    for (size_t i = 0; i < many.texts.size(); ++i) {
      EXPECT_EQ(many.texts[i].generation.token_ids(), many.naive[i].token_ids()) << "text " << i;
      const RoundCounts counts = count_rounds(many.texts[i].rounds);
      accepted += counts.accepted;
      rejected += counts.drafted - counts.accepted;
      if (many.texts[i].max_draft == 0) {
        EXPECT_EQ(counts.drafted, 0);
      }
    }
    EXPECT_GT(accepted, 20);
    EXPECT_GT(rejected, 20);
  }
}

// A sampled text depends on its seed and its k, not on who else is in the batch; without drafts it is chapter 1's.
TEST(SpeculativeGeneration, SampledTextsKnowNothingOfEachOther) {
  const Threads one(1);
  const auto model = tiny_transformer(tiny_config("llama"), 8);
  const auto draft = noisy_transformer(tiny_config("llama"), 8, 0.1f);
  Many many = make_many(*model, {.temperature = 1.1, .top_k = 40, .top_p = 0.95, .min_p = 0.0, .seed = 50});
  Many alone = many;
  const auto memory = make_memory(*model, 8, 6), draft_memory = make_memory(*draft, 0, 6);
  ModelDrafter drafter(*draft, *draft_memory, draft->ops().attend, 200, 6, 1);
  SpeculativeGeneration speculative(*model, *memory, model->ops().attend, drafter, 200, 6);
  run_all(speculative, many.texts);
  for (size_t i = 0; i < alone.texts.size(); ++i) {
    const auto own_memory = make_memory(*model, 0, 1), own_draft_memory = make_memory(*draft, 0, 1);
    ModelDrafter own_drafter(*draft, *own_draft_memory, draft->ops().attend, 200, 1, 1);
    SpeculativeGeneration own(*model, *own_memory, model->ops().attend, own_drafter, 200, 1);
    SpeculativeSequence* const text[] = {&alone.texts[i]};
    while (!alone.texts[i].generation.finished()) ASSERT_TRUE(own.step(text));
    EXPECT_EQ(many.texts[i].generation.token_ids(), alone.texts[i].generation.token_ids()) << "text " << i;
  }
  EXPECT_EQ(many.texts[0].generation.token_ids(), many.naive[0].token_ids()) << "k = 0";
  EXPECT_NE(many.texts[3].generation.token_ids(), many.naive[3].token_ids()) << "else the seeds tell nothing";
}

// A memory that is full refuses the step; afterwards it goes on as if nothing had happened.
TEST(SpeculativeGeneration, ARefusedStepChangesNothing) {
  const auto model = tiny_transformer(tiny_config("llama"), 8);
  const auto draft = noisy_transformer(tiny_config("llama"), 8, 0.1f);
  const GenerationParams params{.max_tokens = 20, .ignore_eos = true, .sampling = {}};
  const Generation naive = generate_naive(*model, {1, 2, 3}, params);
  PagedKvCache memory(model->config(), {8, 4, 48, 1}, DType::f32);
  const auto draft_memory = make_memory(*draft, 0, 1);
  ModelDrafter drafter(*draft, *draft_memory, draft->ops().attend, 48, 1, 1);
  SpeculativeGeneration speculative(*model, memory, model->ops().attend, drafter, 48, 1);
  SpeculativeSequence text{{0, Generation({1, 2, 3}, model->config(), params)}, 4};
  SpeculativeSequence* const all[] = {&text};
  for (int step = 0; !text.generation.finished(); ++step) {
    if (step == 2) {
      const size_t num_tokens = text.generation.all().size();
      const int32_t length = memory.length(0);
      ASSERT_TRUE(memory.allocate(9, 4 * memory.pool().num_free()));
      while (memory.num_blocks_for(length + 5) == memory.num_blocks_for(length)) ASSERT_TRUE(speculative.step(all));
      ASSERT_FALSE(speculative.step(all));
      EXPECT_EQ(text.generation.all().size(), num_tokens);
      EXPECT_EQ(memory.length(0), length);
      EXPECT_LE(drafter.length(0), length);
      memory.release(9);
    }
    ASSERT_TRUE(speculative.step(all));
  }
  EXPECT_EQ(text.generation.token_ids(), naive.token_ids());
}

TEST(SpeculativeGeneration, SimulatedAcceptanceFollowsItsCoin) {
  ModelConfig config = tiny_config("llama");
  config.context_length = 1000;
  const auto model = tiny_transformer(config, 8);
  const auto memory = make_memory(*model, 0, 1);
  ScriptedDrafter drafter({{0, Ids(1000, 5)}}, 1.0, 131);
  SpeculativeGeneration speculative(*model, *memory, model->ops().attend, drafter, 48, 1);
  speculative.simulate_acceptance(0.7);
  SpeculativeSequence text{{0, Generation({1}, config, {.max_tokens = 800, .ignore_eos = true, .sampling = {}})}, 4};
  SpeculativeSequence* const all[] = {&text};
  while (!text.generation.finished()) ASSERT_TRUE(speculative.step(all));
  EXPECT_NEAR(count_rounds(text.rounds).acceptance(), 0.7, 0.06);
  EXPECT_EQ(text.generation.token_ids().size(), 800u);
}

// ---- on devices ----

class SpeculativeOnDevice : public testing::TestWithParam<std::tuple<Device, DType>> {};

TEST_P(SpeculativeOnDevice, SaysWhatChapterOneSays) {
  const auto [device, dtype] = GetParam();
  LLM_SKIP_WITHOUT(device);
  const bool slow = device == Device::simt;
  ModelConfig config = tiny_config("llama");
  config.num_layers = slow ? 1 : 2;
  SeededWeights weights(11);
  const Transformer model(config, weights, dtype, device);
  const Ids prompt = {7, 8, 9, 7, 8};
  const GenerationParams params{slow ? 5 : 24, true, {}};
  const Generation naive = generate_naive(model, prompt, params);
  const auto draft = noisy_transformer(config, 11, 0.12f, DType::bf16, device);
  Drafters drafters(*draft, naive.all());
  for (const size_t drafter : {size_t{0}, size_t{3}}) {
    const auto memory = make_memory(model, drafter == 3 ? 4 : 0, 1);
    const SpeculativeSequence text =
        generate_speculative(model, *memory, model.ops().attend, *drafters.all[drafter], prompt, params, 3);
    const Comparison comparison =
        compare_outputs(naive.token_ids(), naive.top_gaps(), text.generation.token_ids(), near_tie(dtype));
    EXPECT_TRUE(comparison.same) << drafter << ": " << describe(comparison);
  }
  // Sampled: rows come to the host, and what is drawn is possible.
  GenerationParams sampled = params;
  sampled.sampling = {.temperature = 1.0, .top_k = 5, .top_p = 1.0, .min_p = 0.0, .seed = 2};
  Drafters fresh(*draft, naive.all());
  const auto memory = make_memory(model, 0, 1);
  const SpeculativeSequence text =
      generate_speculative(model, *memory, model.ops().attend, *fresh.all[0], prompt, sampled, 3);
  EXPECT_EQ(text.generation.token_ids().size(), static_cast<size_t>(params.max_tokens));
}

INSTANTIATE_TEST_SUITE_P(Devices, SpeculativeOnDevice,
                         testing::Combine(testing::Values(Device::simt, Device::cuda),
                                          testing::Values(DType::f32, DType::bf16)),
                         [](const auto& test) {
                           return std::string(name_of(std::get<0>(test.param))) + "_" +
                                  name_of(std::get<1>(test.param));
                         });

// ---- the embedded pair ----

// The run that stands on the page.
TEST(SpeculativeGeneration, RoundByRound) {
  const LoadedModel target = load_model("models/stories", DType::f32, Device::cpu);
  const LoadedModel draft = load_model("models/stories-draft", DType::bf16, Device::cpu);
  const Transformer &model = *target.transformer, &draft_model = *draft.transformer;
  const Ids prompt = target.tokenizer->encode("One day a dog");
  const GenerationParams params{.max_tokens = 36, .ignore_eos = false, .sampling = {}};
  const auto memory = make_memory(model, 0, 1), draft_memory = make_memory(draft_model, 0, 1);
  ModelDrafter drafter(draft_model, *draft_memory, draft_model.ops().attend, 64, 1, 1);
  const SpeculativeSequence text = generate_speculative(model, *memory, model.ops().attend, drafter, prompt, params, 4);
  EXPECT_EQ(draw_rounds(target, text.rounds, text.rounds.size()), read_file("docs/recordings/06-rounds.txt"));
  EXPECT_EQ(text.generation.token_ids(), generate_naive(model, prompt, params).token_ids());
}

}  // namespace
}  // namespace llm
