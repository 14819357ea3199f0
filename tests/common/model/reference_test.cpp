// The forward pass against logits that Hugging Face transformers computed: tools/make_model_reference.py.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "common/model/kv_storage.h"
#include "common/model/safetensors.h"
#include "common/model/transformer.h"
#include "tests/support/expect_close.h"
#include "tests/support/gpu_device.h"

namespace llm {
namespace {

const std::filesystem::path kReferences = "tests/reference/models";

// Keeps everything: sequence s has the slots s · context_length and on.
class KeepingMemory : public KvMemory {
 public:
  KeepingMemory(const ModelConfig& config, int64_t max_seqs, DType dtype = DType::f32, Device device = Device::cpu)
      : room_(config.context_length),
        storage_(config, max_seqs * room_, dtype, device),
        slots_(max_seqs * room_, device),
        block_table_(max_seqs, device) {}

  bool begin_step(const Batch& batch) override {
    slots_.clear();
    block_table_.assign(batch.sequence_ids.values());
    for (int64_t s = 0; s < batch.num_seqs(); ++s) {
      for (int32_t i = batch.query_start[s]; i < batch.query_start[s + 1]; ++i) {
        slots_.push_back(batch.sequence_ids[s] * room_ + batch.positions[i]);
      }
    }
    upload_lists({&slots_, &block_table_});
    return true;
  }
  KvView layer(int layer) override {
    return {storage_.k(layer), storage_.v(layer), slots_.view(), block_table_.view().reshaped({block_table_.size(), 1}),
            room_};
  }
  void truncate(int32_t, int32_t) override {}
  void release(int32_t) override {}
  size_t nbytes() const override { return storage_.nbytes(); }

 private:
  int room_;
  KvStorage storage_;
  Int32Buffer slots_, block_table_;
};

// Texts of a reference folder and what transformers made of them.
struct Text {
  std::vector<int32_t> tokens;
  Tensor logits;  // [tokens, vocab_size]
};

std::vector<Text> read_texts(const std::filesystem::path& folder, const ModelConfig& config) {
  SafetensorsFolder file(folder / "reference");
  std::set<int64_t> lengths;  // from the names: tokens.31
  for (const std::string& name : file.names()) lengths.insert(std::stoll(name.substr(name.find('.') + 1)));
  std::vector<Text> texts;
  for (const int64_t length : lengths) {
    const Tensor tokens = file.get(fmt::format("tokens.{}", length), {length});
    const float* values = tokens.view().as<float>();
    texts.push_back(
        {{values, values + length}, file.get(fmt::format("logits.{}", length), {length, config.vocab_size})});
  }
  return texts;
}

// Runs one step over (sequence, tokens, first position) and appends each sequence's logits to its own list.
struct Chunk {
  int32_t sequence;
  std::span<const int32_t> tokens;
  int32_t first_position;
};
using Logits = std::map<int32_t, std::vector<float>>;

void step(const Transformer& model, KvMemory& memory, const std::vector<Chunk>& chunks, Logits& logits) {
  Batch batch(256, 8, model.device());
  for (const Chunk& chunk : chunks) batch.add(chunk.sequence, chunk.tokens, chunk.first_position, LogitRows::all);
  ASSERT_TRUE(memory.begin_step(batch));
  Workspace workspace(model.device());
  const Tensor there({batch.num_logits(), model.config().vocab_size}, DType::f32, model.device());
  model.forward(batch, memory, model.ops().attend, workspace, there);
  const Tensor out = to_host(there);
  const float* row = out.view().as<float>();
  for (const Chunk& chunk : chunks) {
    const auto size = static_cast<int64_t>(chunk.tokens.size()) * model.config().vocab_size;
    logits[chunk.sequence].insert(logits[chunk.sequence].end(), row, row + size);
    row += size;
  }
}

class Reference : public testing::TestWithParam<std::string> {
 protected:
  std::filesystem::path folder = kReferences / GetParam();
  ModelConfig config = ModelConfig::load(folder);
  std::vector<Text> texts = read_texts(folder, config);
  Transformer model = load(DType::f32);

  Transformer load(DType dtype, Device device = Device::cpu) {
    SafetensorsFolder weights(folder);
    return {config, weights, dtype, device};
  }
};

std::vector<float> whole_prefix(const Transformer& model, const Text& text) {
  KeepingMemory memory(model.config(), 1, model.dtype(), model.device());
  Logits logits;
  step(model, memory, {{0, text.tokens, 0}}, logits);
  return logits[0];
}

TEST_P(Reference, LogitsAgree) {
  ASSERT_GE(texts.size(), 3u);
  for (const Text& text : texts) {
    const std::vector<float> logits = whole_prefix(model, text);
    expect_close(logits, to_doubles(text.logits), 1e-4);
    for (size_t i = 0; i < logits.size(); ++i) {
      ASSERT_LT(std::abs(logits[i] - text.logits.view().as<float>()[i]), 1e-4f) << "logit " << i;
    }
  }
}

TEST_P(Reference, TokenByTokenGivesTheSameBits) {
  for (const Text& text : texts) {
    KeepingMemory memory(config, 1);
    Logits logits;
    for (size_t i = 0; i < text.tokens.size(); ++i) {
      step(model, memory, {{0, std::span(text.tokens).subspan(i, 1), static_cast<int32_t>(i)}}, logits);
    }
    EXPECT_EQ(logits[0], whole_prefix(model, text));
  }
}

TEST_P(Reference, ChunksInABatchOfAllTextsGiveTheSameBits) {
  KeepingMemory memory(config, static_cast<int64_t>(texts.size()));
  Logits logits;
  for (int32_t begin = 0, size = 1; begin < config.context_length; begin += size, size = size % 17 + 5) {
    std::vector<Chunk> chunks;
    for (int32_t s = 0; s < static_cast<int32_t>(texts.size()); ++s) {
      const std::span<const int32_t> tokens = texts[static_cast<size_t>(s)].tokens;
      const auto left = static_cast<int32_t>(tokens.size()) - begin;
      if (left > 0) chunks.push_back({s, tokens.subspan(static_cast<size_t>(begin), std::min(left, size)), begin});
    }
    if (!chunks.empty()) step(model, memory, chunks, logits);
  }
  for (int32_t s = 0; s < static_cast<int32_t>(texts.size()); ++s) {
    EXPECT_EQ(logits[s], whole_prefix(model, texts[static_cast<size_t>(s)]));
  }
}

// The matrices rounded to bf16: near the reference, and not the same.
TEST_P(Reference, Bf16WeightsComeNear) {
  const Text& text = texts.back();
  const std::vector<float> logits = whole_prefix(load(DType::bf16), text);
  const std::vector<double> expected = to_doubles(text.logits);
  expect_close(logits, expected, 0.7);
  double squares = 0.0, error = 0.0;
  for (size_t i = 0; i < logits.size(); ++i) {
    squares += expected[i] * expected[i];
    error += (logits[i] - expected[i]) * (logits[i] - expected[i]);
  }
  EXPECT_LT(std::sqrt(error / squares), 0.03);
}

const std::string kModels[] = {"llama",
                               "llama-tied-linear",
                               "llama-llama3-mqa",
                               "llama-llama3-new",
                               "llama-odd-heads",
                               "llama-sharded",
                               "llama-bf16",
                               "mistral",
                               "mistral-f16",
                               "qwen2",
                               "qwen2-window",
                               "qwen3"};

std::string test_name(std::string model) {
  std::replace(model.begin(), model.end(), '-', '_');
  return model;
}

INSTANTIATE_TEST_SUITE_P(Models, Reference, testing::ValuesIn(kModels),
                         [](const auto& test) { return test_name(test.param); });

// The same on a GPU and on its simulator: prompts at once and token by token, in f32 and in bf16.
class GpuReference : public testing::TestWithParam<std::tuple<std::string, Device>> {
 protected:
  std::filesystem::path folder = kReferences / std::get<0>(GetParam());
  Device device = std::get<1>(GetParam());
  ModelConfig config = ModelConfig::load(folder);
  std::vector<Text> texts = read_texts(folder, config);

  Transformer load(DType dtype) {
    SafetensorsFolder weights(folder);
    return {config, weights, dtype, device};
  }
};

TEST_P(GpuReference, LogitsAgree) {
  LLM_SKIP_WITHOUT(device);
  const Transformer model = load(DType::f32);
  for (const Text& text : texts) {
    const std::vector<double> expected = to_doubles(text.logits);
    expect_close(whole_prefix(model, text), expected, 1e-4);

    if (&text != &texts[1]) continue;  // a step a token takes its time on the simulator
    KeepingMemory memory(config, 1, DType::f32, device);
    Logits logits;
    for (size_t i = 0; i < text.tokens.size(); ++i) {
      step(model, memory, {{0, std::span(text.tokens).subspan(i, 1), static_cast<int32_t>(i)}}, logits);
    }
    expect_close(logits[0], expected, 1e-4);
  }
}

TEST_P(GpuReference, Bf16ComesNear) {
  LLM_SKIP_WITHOUT(device);
  const Text& text = texts.back();
  const std::vector<float> logits = whole_prefix(load(DType::bf16), text);
  const std::vector<double> expected = to_doubles(text.logits);
  ASSERT_EQ(logits.size(), expected.size());
  double squares = 0.0, error = 0.0;
  for (size_t i = 0; i < logits.size(); ++i) {
    squares += expected[i] * expected[i];
    error += (logits[i] - expected[i]) * (logits[i] - expected[i]);
  }
  EXPECT_LT(std::sqrt(error / squares), 0.05);
}

INSTANTIATE_TEST_SUITE_P(Models, GpuReference,
                         testing::Combine(testing::ValuesIn(kModels), testing::Values(Device::simt, Device::cuda)),
                         [](const auto& test) {
                           return test_name(std::get<0>(test.param)) + "_" + name_of(std::get<1>(test.param));
                         });

TEST(References, AreAllTested) {
  size_t folders = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(kReferences)) ++folders;
  EXPECT_EQ(folders, 12u);
}

TEST(References, AWindowShortensTheContext) {
  EXPECT_EQ(ModelConfig::load(kReferences / "mistral").context_length, 48);
  EXPECT_EQ(ModelConfig::load(kReferences / "mistral-f16").context_length, 128);
  EXPECT_EQ(ModelConfig::load(kReferences / "qwen2-window").context_length, 33);
}

}  // namespace
}  // namespace llm
