// The logits of chapter 2 are those of chapter 1, bit for bit, however the work is cut into steps.
#include <gtest/gtest.h>
#include <omp.h>

#include <vector>

#include "chapters/02_kv_cache/contiguous_kv_cache.h"
#include "tests/support/logits.h"
#include "tests/support/tiny_model.h"

namespace llm {
namespace {

using Ids = std::vector<int32_t>;

struct Text {
  Ids ids;
  Rows logits;  // chapter 1's, after each token
};

std::vector<Text> make_texts(const Transformer& model, int count) {
  std::mt19937_64 random(5);
  std::vector<Text> texts;
  for (int i = 0; i < count; ++i) {
    const int64_t context = model.config().context_length;
    const int64_t length = i == 0 ? 1 : i == 1 ? context : 1 + static_cast<int64_t>(random() % context);
    const Ids ids = random_ids(random, length, model.config().vocab_size);
    texts.push_back({ids, naive_logits(model, ids)});
  }
  return texts;
}

// All f32 and bf16 models of the three families; chapter 1 runs with one thread.
template <class Check>
void for_each_model(const Check& check) {
  for (const std::string& family : tiny_families()) {
    for (const DType dtype : {DType::f32, DType::bf16}) {
      const testing::ScopedTrace trace(__FILE__, __LINE__, family + " " + name_of(dtype));
      const auto model = tiny_transformer(tiny_config(family), 20, dtype);
      omp_set_num_threads(1);
      check(*model, make_texts(*model, 6));
    }
  }
  omp_set_num_threads(omp_get_num_procs());
}

// The prompt once, then one token a step, for every length of the prompt.
TEST(SameLogits, PrefillThenDecode) {
  for_each_model([](const Transformer& model, const std::vector<Text>& texts) {
    for (const Text& text : texts) {
      const size_t n = text.ids.size();
      for (size_t prompt_len = 1; prompt_len <= n; prompt_len += 1 + prompt_len / 3) {
        omp_set_num_threads(1 + static_cast<int>(prompt_len) % 3);
        ContiguousKvCache cache(model.config(), static_cast<int64_t>(n), 1, model.dtype());
        for (size_t begin = 0; begin < n; begin = begin == 0 ? prompt_len : begin + 1) {
          const size_t end = begin == 0 ? prompt_len : begin + 1;
          Batch batch(static_cast<int64_t>(n), 1);
          batch.add(0, std::span(text.ids).subspan(begin, end - begin), static_cast<int32_t>(begin), LogitRows::last);
          const Rows rows = forward(model, cache, batch);
          ASSERT_EQ(rows.size(), 1u);
          ASSERT_TRUE(same_bits(rows[0], text.logits[end - 1])) << "prompt " << prompt_len << ", token " << end - 1;
        }
      }
    }
  });
}

// Several sequences in one batch, cut into random chunks, in random order, some cut back and fed again, all rows asked
// for: what chapters 6 and 7 will do.
TEST(SameLogits, RaggedChunksOfManySequences) {
  for_each_model([](const Transformer& model, const std::vector<Text>& texts) {
    const auto num_texts = static_cast<int64_t>(texts.size());
    const int64_t context = model.config().context_length;
    std::mt19937_64 random(9);
    for (int threads = 1; threads <= 3; ++threads) {
      omp_set_num_threads(threads);
      ContiguousKvCache cache(model.config(), context, num_texts, model.dtype());
      std::vector<size_t> done(texts.size(), 0);
      for (int step = 0; step < 40; ++step) {
        Batch batch(context * num_texts, num_texts);
        std::vector<std::pair<size_t, size_t>> asked;  // text, token
        for (size_t t = random() % texts.size(), i = 0; i < texts.size(); ++i, t = (t + 1) % texts.size()) {
          const size_t left = texts[t].ids.size() - done[t];
          if (left == 0 && random() % 2 == 0) {
            done[t] = random() % texts[t].ids.size();
            cache.truncate(static_cast<int32_t>(t), static_cast<int32_t>(done[t]));
          } else if (left > 0 && random() % 4 != 0) {
            const size_t count = 1 + random() % std::min<size_t>(left, 9);
            batch.add(static_cast<int32_t>(t), std::span(texts[t].ids).subspan(done[t], count),
                      static_cast<int32_t>(done[t]), LogitRows::all);
            for (size_t k = 0; k < count; ++k) asked.emplace_back(t, done[t]++);
          }
        }
        const Rows rows = forward(model, cache, batch);
        ASSERT_EQ(rows.size(), asked.size());
        for (size_t i = 0; i < rows.size(); ++i) {
          const auto& [t, token] = asked[i];
          ASSERT_TRUE(same_bits(rows[i], texts[t].logits[token])) << "text " << t << ", token " << token;
        }
      }
    }
  });
}

// Chapter 1's own passes do not depend on what else is in the batch either.
TEST(SameLogits, ForgetfulMemoryWithManySequences) {
  for_each_model([](const Transformer& model, const std::vector<Text>& texts) {
    const auto num_texts = static_cast<int64_t>(texts.size());
    const int64_t room = model.config().context_length * num_texts;
    ForgetfulMemory memory(model.config(), room, num_texts, model.dtype());
    Batch batch(room, num_texts);
    for (size_t t = 0; t < texts.size(); ++t) batch.add(static_cast<int32_t>(t), texts[t].ids, 0, LogitRows::last);
    for (int threads = 1; threads <= 3; ++threads) {
      omp_set_num_threads(threads);
      const Rows rows = forward(model, memory, batch);
      for (size_t t = 0; t < texts.size(); ++t) ASSERT_TRUE(same_bits(rows[t], texts[t].logits.back())) << t;
    }
  });
}

// The check can fail: one bit of one key is enough.
TEST(SameLogits, SeesOneWrongBit) {
  const auto model = tiny_transformer(tiny_config("llama"), 20);
  const Ids ids = {1, 2, 3, 4, 5, 6};
  const Rows expected = naive_logits(*model, ids);
  ContiguousKvCache cache(model->config(), 6, 1, DType::f32);
  Batch prompt(6, 1), last(6, 1);
  prompt.add(0, std::span(ids).first(5), 0, LogitRows::last);
  last.add(0, std::span(ids).last(1), 5, LogitRows::last);
  EXPECT_TRUE(same_bits(forward(*model, cache, prompt)[0], expected[4]));
  const TensorView k = cache.layer(0).k;  // of position 2, the second KV head, dimension 3
  auto* bits = reinterpret_cast<uint32_t*>(k.as<float>() + (2 * k.dim(1) + 1) * k.dim(2) + 3);
  *bits ^= 1u << 16;
  EXPECT_FALSE(same_bits(forward(*model, cache, last)[0], expected[5]));
}

}  // namespace
}  // namespace llm
