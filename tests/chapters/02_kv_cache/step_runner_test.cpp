// Steps that are recorded and replayed give the logits of steps that are not, however many sequences take part.
#include "common/model/step_runner.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "chapters/02_kv_cache/contiguous_kv_cache.h"
#include "common/tensor/device_memory.h"
#include "tests/support/expect_close.h"
#include "tests/support/gpu_device.h"
#include "tests/support/tiny_model.h"
#if defined(LLM_HAVE_SIMT)
#include "common/simt/stream.h"
#endif

namespace llm {
namespace {

void do_simt_late([[maybe_unused]] bool late) {
#if defined(LLM_HAVE_SIMT)
  simt::do_streams_late(late);
#endif
}

using Ids = std::vector<int32_t>;

class StepRunnerOn : public testing::TestWithParam<Device> {
 protected:
  void SetUp() override { LLM_SKIP_WITHOUT(GetParam()); }
};

// The logits after each step, [steps][sequences of the step], of `texts`: prompts of three tokens, then one token a
// step. Text s takes part in the steps before `last_step[s]`.
std::vector<std::vector<double>> run_texts(const std::vector<Ids>& texts, const std::vector<int>& last_step,
                                           Device device) {
  const auto model = tiny_transformer(tiny_config("qwen2"), 4, DType::f32, device);
  const auto num_texts = static_cast<int64_t>(texts.size());
  ContiguousKvCache cache(model->config(), 32, num_texts, DType::f32, device);
  StepRunner runner(*model, model->ops().attend);
  Batch batch(3 * num_texts, num_texts, device);
  std::vector<std::vector<double>> all;
  constexpr int kSteps = 17;
  for (int step = 0; step < kSteps; ++step) {
    batch.clear();
    for (size_t s = 0; s < texts.size(); ++s) {
      if (step >= last_step[s]) continue;
      const size_t begin = step == 0 ? 0 : static_cast<size_t>(step) + 2, length = step == 0 ? 3 : 1;
      batch.add(static_cast<int32_t>(s), std::span(texts[s]).subspan(begin, length), static_cast<int32_t>(begin),
                LogitRows::last);
    }
    EXPECT_TRUE(cache.begin_step(batch));
    const TensorView logits = runner.run(batch, cache);
    EXPECT_EQ(logits.dim(0), batch.num_seqs());
    all.push_back(to_doubles(to_host(logits)));
  }
  return all;
}

TEST_P(StepRunnerOn, SequencesLeaveOneByOne) {
  std::mt19937_64 random(3);
  std::vector<Ids> texts;
  for (int s = 0; s < 11; ++s) texts.push_back(random_ids(random, 19, tiny_config("qwen2").vocab_size));
  // 11 sequences in the graph of 16, 7 in that of 8, 3 and 4 in that of 4, 1 alone: four steps each, the third of which
  // is recorded and the fourth replayed.
  const std::vector<int> last_step{17, 13, 13, 11, 9, 9, 9, 5, 5, 5, 5};
  const auto expected = run_texts(texts, last_step, Device::cpu), actual = run_texts(texts, last_step, GetParam());
  for (size_t step = 0; step < expected.size(); ++step) {
    EXPECT_TRUE(is_close(actual[step], expected[step], 1e-4)) << "step " << step;
  }
}

// Counts the forward passes that the host starts; a replayed one is not among them.
AttendFn counted_attend = nullptr;
int attend_calls = 0;
void attend_and_count(const Batch& batch, TensorView q, const KvView& kv, Workspace& workspace, TensorView out) {
  ++attend_calls;
  counted_attend(batch, q, kv, workspace, out);
}

struct Drafts {
  std::vector<size_t> num_tokens;  // of each sequence, in a step
  LogitRows rows;
};

// Each of the sequences a prompt of five tokens, and then, five times, so many more at once.
std::vector<std::vector<double>> run_drafts(const Drafts& drafts, Device device) {
  ModelConfig config = tiny_config("qwen3");
  config.context_length = 128;
  const auto model = tiny_transformer(config, 4, DType::f32, device);
  const auto num_seqs = std::ssize(drafts.num_tokens);
  ContiguousKvCache cache(config, config.context_length, num_seqs, DType::f32, device);
  counted_attend = model->ops().attend;
  attend_calls = 0;
  StepRunner runner(*model, attend_and_count);
  Batch batch(66, num_seqs, device);
  std::mt19937_64 random(5);
  std::vector<int32_t> lengths(drafts.num_tokens.size());
  std::vector<std::vector<double>> all;
  for (int step = 0; step < 6; ++step) {
    batch.clear();
    for (size_t s = 0; s < lengths.size(); ++s) {
      const Ids tokens = random_ids(random, step == 0 ? 5 : drafts.num_tokens[s], config.vocab_size);
      batch.add(static_cast<int32_t>(s), tokens, lengths[s], step == 0 ? LogitRows::last : drafts.rows);
      lengths[s] += static_cast<int32_t>(tokens.size());
    }
    EXPECT_TRUE(cache.begin_step(batch));
    all.push_back(to_doubles(to_host(runner.run(batch, cache))));
  }
  return all;
}

// Verifications, and the two tokens that a draft model must catch up on: one as it is, one into its own memory, one
// recorded, two replayed.
TEST_P(StepRunnerOn, DraftsAreReplayed) {
  const int num_layers = tiny_config("qwen3").num_layers;
  for (const Drafts& drafts : {Drafts{{5}, LogitRows::all}, Drafts{{2}, LogitRows::last},
                               Drafts{{4, 4, 4}, LogitRows::all}, Drafts{{16, 16, 16, 16}, LogitRows::last}}) {
    const auto expected = run_drafts(drafts, Device::cpu), actual = run_drafts(drafts, GetParam());
    ASSERT_EQ(actual.size(), 6u);
    for (size_t step = 0; step < expected.size(); ++step) {
      EXPECT_TRUE(is_close(actual[step], expected[step], 1e-4)) << drafts.num_tokens[0] << " tokens, step " << step;
    }
    EXPECT_EQ(attend_calls, (GetParam() == Device::cpu ? 6 : 1 + 3) * num_layers) << drafts.num_tokens[0];
  }
}

// Sequences with different numbers of tokens, and more tokens than drafts have: as they are, each time.
TEST_P(StepRunnerOn, PromptsAreNotRecorded) {
  for (const Drafts& drafts : {Drafts{{3, 1}, LogitRows::all}, Drafts{{22, 22, 22}, LogitRows::last}}) {
    run_drafts(drafts, GetParam());
    EXPECT_EQ(attend_calls, 6 * tiny_config("qwen3").num_layers);
  }
}

// Steps of one shape that want the logits of other tokens: a recording reads which from a list.
TEST_P(StepRunnerOn, OtherLogitsOfAsManyTokens) {
  const auto run = [](Device device) {
    const auto model = tiny_transformer(tiny_config("llama"), 4, DType::f32, device);
    ContiguousKvCache cache(model->config(), 32, 2, DType::f32, device);
    StepRunner runner(*model, model->ops().attend);
    Batch batch(4, 2, device);
    std::vector<std::vector<double>> all;
    for (int32_t step = 0; step < 12; ++step) {
      batch.clear();
      // Both the last, or all of one and none of the other: two logits, of different tokens.
      batch.add(0, Ids{7 + step, 9}, 2 * step, step % 2 == 0 ? LogitRows::last : LogitRows::all);
      batch.add(1, Ids{5, 8 + step}, 2 * step, step % 2 == 0 ? LogitRows::last : LogitRows::none);
      EXPECT_TRUE(cache.begin_step(batch));
      all.push_back(to_doubles(to_host(runner.run(batch, cache))));
    }
    return all;
  };
  const auto expected = run(Device::cpu), actual = run(GetParam());
  for (size_t step = 0; step < expected.size(); ++step) EXPECT_TRUE(is_close(actual[step], expected[step], 1e-4));
}

// What padding computes may go nowhere: not into the slots of those who are there.
TEST_P(StepRunnerOn, PaddingStoresNothing) {
  const auto model = tiny_transformer(tiny_config("llama"), 4, DType::f32, GetParam());
  ContiguousKvCache cache(model->config(), 8, 3, DType::f32, GetParam());
  StepRunner runner(*model, model->ops().attend);
  Batch batch(3, 3, GetParam());
  for (int32_t position = 0; position < 3; ++position) {
    batch.clear();
    for (int32_t s = 0; s < 3; ++s) batch.add(s, Ids{7}, position, LogitRows::last);
    ASSERT_TRUE(cache.begin_step(batch));
    const Tensor logits = to_host(runner.run(batch, cache));
    const std::vector<double> values = to_doubles(logits.view().rows(0, 1));
    for (int64_t s = 0; s < 3; ++s) {  // all three tell the same
      EXPECT_TRUE(is_close(to_doubles(logits.view().rows(s, s + 1)), values, 1e-6)) << position;
    }
  }
}

// Behind prompts, with and without logits, and behind single tokens: the others' logits are what they are without it.
TEST_P(StepRunnerOn, PaddingBehindAStepChangesNothing) {
  const auto model = tiny_transformer(tiny_config("qwen3"), 4, DType::f32, GetParam());
  const auto logits_with = [&](int num_padding, LogitRows rows) {
    ContiguousKvCache cache(model->config(), 8, 2, DType::f32, GetParam());
    StepRunner runner(*model, model->ops().attend);
    Batch batch(12, 12, GetParam());
    std::vector<std::vector<double>> all;
    for (const Ids& tokens : {Ids{5, 9, 13}, Ids{7}, Ids{8}}) {
      const auto first = static_cast<int32_t>(all.empty() ? 0 : 2 + all.size());
      batch.clear();
      for (const int32_t s : {0, 1}) batch.add(s, tokens, first, LogitRows::last);
      EXPECT_TRUE(cache.begin_step(batch));
      for (int i = 0; i < num_padding; ++i) batch.add_padding(rows);
      const TensorView logits = runner.run(batch, cache);
      EXPECT_EQ(logits.dim(0), rows == LogitRows::none ? 2 : 2 + num_padding);
      all.push_back(to_doubles(to_host(logits.rows(0, 2))));
      for (const double value : to_doubles(to_host(logits))) EXPECT_TRUE(std::isfinite(value)) << "padding's too";
    }
    return all;
  };
  const auto expected = logits_with(0, LogitRows::none);
  for (const LogitRows rows : {LogitRows::none, LogitRows::last}) {
    const auto actual = logits_with(5, rows);
    for (size_t step = 0; step < expected.size(); ++step) {
      EXPECT_TRUE(is_close(actual[step], expected[step], GetParam() == Device::cpu ? 0.0 : 1e-5)) << step;
    }
  }
}

// Scratch that comes in several pieces in the first step is one piece when the second is recorded.
AttendFn plain_attend = nullptr;
void attend_with_much_scratch(const Batch& batch, TensorView q, const KvView& kv, Workspace& workspace,
                              TensorView out) {
  constexpr int64_t kNumbers = 1 << 20;
  workspace.take({kNumbers}, DType::f32);
  workspace.take({2 * kNumbers}, DType::f32);
  plain_attend(batch, q, kv, workspace, out);
}

TEST_P(StepRunnerOn, WhatIsRecordedAllocatesNothing) {
  const auto model = tiny_transformer(tiny_config("llama"), 4, DType::f32, GetParam());
  plain_attend = model->ops().attend;
  ContiguousKvCache cache(model->config(), 8, 1, DType::f32, GetParam());
  StepRunner runner(*model, attend_with_much_scratch);
  Batch batch(1, 1, GetParam());
  for (int32_t position = 0; position < 4; ++position) {
    batch.clear();
    batch.add(0, Ids{7}, position, LogitRows::last);
    ASSERT_TRUE(cache.begin_step(batch));
    for (const double value : to_doubles(to_host(runner.run(batch, cache)))) ASSERT_TRUE(std::isfinite(value));
  }
}

// A chunk of a prompt, without logits, and the next step's lists written at once: nobody has waited for the first.
// The simulator is made to do its work as late as it may.
TEST_P(StepRunnerOn, AStepWithoutLogitsHasReadItsLists) {
  const auto logits_after_chunks = [](Device device, int32_t chunk) {
    const auto model = tiny_transformer(tiny_config("llama"), 4, DType::f32, device);
    ContiguousKvCache cache(model->config(), 16, 1, DType::f32, device);
    StepRunner runner(*model, model->ops().attend);
    Batch batch(12, 1, device);
    const Ids text = {5, 9, 13, 2, 8, 77, 31, 4, 6, 60, 11, 12};
    TensorView logits;
    do_simt_late(true);
    for (int32_t at = 0; at < 12; at += chunk) {
      batch.clear();
      batch.add(0, std::span(text).subspan(static_cast<size_t>(at), static_cast<size_t>(chunk)), at,
                at + chunk == 12 ? LogitRows::last : LogitRows::none);
      EXPECT_TRUE(cache.begin_step(batch));
      logits = runner.run(batch, cache);
    }
    const Tensor here = to_host(logits);
    do_simt_late(false);
    return to_doubles(here);
  };
  EXPECT_TRUE(is_close(logits_after_chunks(GetParam(), 3), logits_after_chunks(Device::cpu, 12), 1e-4));
}

INSTANTIATE_TEST_SUITE_P(Devices, StepRunnerOn, testing::Values(Device::cpu, Device::simt, Device::cuda),
                         [](const auto& info) { return std::string(name_of(info.param)); });

}  // namespace
}  // namespace llm
