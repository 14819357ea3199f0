// Ids and texts against those that Hugging Face's library gave (tools/make_tokenizer_reference.py).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "common/json/json.h"
#include "common/tokenizer/decoder.h"
#include "common/tokenizer/normalizer.h"
#include "common/tokenizer/pre_tokenizer.h"
#include "common/tokenizer/tokenizer.h"
#include "common/tokenizer/unicode.h"

namespace llm {
namespace {

const std::filesystem::path kReference = "tests/reference/tokenizer";
const char* const kKinds[] = {"gpt2", "roberta", "llama3", "qwen2", "smollm2", "llama2", "mistral", "metaspace"};

std::string fnv1a(std::string_view bytes) {
  uint64_t value = 0xCBF29CE484222325;
  for (const char byte : bytes) value = (value ^ static_cast<uint8_t>(byte)) * 0x100000001B3;
  return fmt::format("{:016x}", value);
}

// Long lists and texts are stored as [size, hash].
bool is_hashed(const Json& stored) { return stored.is_array() && stored.size() == 2 && stored.at(1).is_string(); }

std::string shown(const std::vector<int32_t>& ids) { return Json::integers(ids).dump(-1); }

void expect_ids(const std::vector<int32_t>& ids, const Json& stored, const std::string& context) {
  if (!is_hashed(stored)) {
    EXPECT_EQ(shown(ids), stored.dump(-1)) << context;
    return;
  }
  std::string bytes;
  for (const int32_t id : ids) {
    for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(id >> shift);
  }
  EXPECT_EQ(static_cast<int64_t>(ids.size()), stored.at(0).integer()) << context;
  EXPECT_EQ(fnv1a(bytes), stored.at(1).string()) << context;
}

void expect_text(const std::string& text, const Json& stored, const std::string& context) {
  if (!is_hashed(stored)) {
    EXPECT_EQ(text, stored.string()) << context;
    return;
  }
  EXPECT_EQ(static_cast<int64_t>(text.size()), stored.at(0).integer()) << context;
  EXPECT_EQ(fnv1a(text), stored.at(1).string()) << context;
}

std::vector<std::string> reference_texts() {
  std::vector<std::string> texts;
  Json::parse_file(kReference / "texts.json").for_each([&](const Json& record) {
    const std::string hex = record.at("hex").string();
    std::string bytes, text;
    for (size_t i = 0; i < hex.size(); i += 2) bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    const int64_t repeat = record.has("repeat") ? record.at("repeat").integer() : 1;
    for (int64_t i = 0; i < repeat; ++i) text += bytes;
    texts.push_back(text);
  });
  return texts;
}

std::string stream(const Tokenizer& tokenizer, const std::vector<int32_t>& ids, bool skip_special_tokens) {
  StreamDecoder decoder(tokenizer, skip_special_tokens);
  std::string text;
  for (const int32_t id : ids) {
    const std::string part = decoder.push(id);
    EXPECT_EQ(repair_utf8(part), part);  // never half a character
    text += part;
  }
  return text + decoder.finish();
}

class TokenizerReference : public testing::TestWithParam<const char*> {};

TEST_P(TokenizerReference, EveryText) {
  const auto folder = kReference / GetParam();
  const Tokenizer tokenizer = Tokenizer::load(folder);
  const std::vector<std::string> texts = reference_texts();
  const Json records = Json::parse_file(folder / "expected.json");
  ASSERT_EQ(records.size(), texts.size());
  ASSERT_GE(texts.size(), 250u);

  for (size_t i = 0; i < texts.size(); ++i) {
    const Json record = records.at(i);
    const std::string context = fmt::format("text {}: {:.100}", i, texts[i]);
    const std::vector<int32_t> ids = tokenizer.encode(texts[i]);
    expect_ids(ids, record.at("ids"), context);

    int64_t front = 0, back = 0;
    if (record.has("ends")) {
      front = record.at("ends").at(0).integer();
      back = record.at("ends").at(1).integer();
    }
    const std::vector<int32_t> plain(ids.begin() + front, ids.end() - back);
    EXPECT_EQ(shown(tokenizer.encode(texts[i], false)), shown(plain)) << context;

    const std::string decoded = tokenizer.decode(ids);
    if (record.has("decoded")) {
      expect_text(decoded, record.at("decoded"), context);
    } else {
      EXPECT_EQ(decoded, repair_utf8(texts[i])) << context;
    }
    const std::string decoded_all = tokenizer.decode(ids, /*skip_special_tokens=*/false);
    if (record.has("decoded_all")) {
      expect_text(decoded_all, record.at("decoded_all"), context);
    } else {
      EXPECT_EQ(decoded_all, decoded) << context;
    }
    EXPECT_EQ(stream(tokenizer, ids, true), decoded) << context;
    EXPECT_EQ(stream(tokenizer, ids, false), decoded_all) << context;
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, TokenizerReference, testing::ValuesIn(kKinds),
                         [](const auto& kind) { return std::string(kind.param); });

// Single steps: settings that no tokenizer above has.
class PartReference : public testing::Test {
 protected:
  template <class Check>  // check(step, input, output)
  void for_each_case(const std::string& part, Check check) {
    int cases = 0;
    Json::parse_file(kReference / "parts.json").for_each([&](const Json& record) {
      if (record.at("part").string() != part) return;
      record.at("cases").for_each([&](const Json& one) {
        SCOPED_TRACE(record.at("step").dump(-1) + " " + one.dump(-1));
        check(record.at("step"), one.at(0), one.at(1));
        ++cases;
      });
    });
    EXPECT_GT(cases, 100);
  }
};

TEST_F(PartReference, Normalizers) {
  for_each_case("normalizers", [](const Json& step, const Json& input, const Json& output) {
    EXPECT_EQ(Normalizer::parse(step).normalize(input.string()), output.string());
  });
}

TEST_F(PartReference, PreTokenizers) {
  for_each_case("pre_tokenizers", [](const Json& step, const Json& input, const Json& output) {
    const std::string text = input.string();
    Json words = Json::array();
    PreTokenizer::parse(step).split(text, true, [&](std::string_view word) { words.push(word); });
    if (text.empty()) {
      EXPECT_EQ(words.size(), 0u);  // the library hands on one empty word, of which no token comes
    } else {
      EXPECT_EQ(words.dump(-1), output.dump(-1));
    }
  });
}

TEST_F(PartReference, Decoders) {
  for_each_case("decoders", [](const Json& step, const Json& input, const Json& output) {
    Decoding decoding = Decoder::parse(step).start();
    std::string text;
    input.for_each([&](const Json& token) { text += decoding.push(token.string()); });
    text += decoding.end();
    EXPECT_EQ(text, output.string());
  });
}

}  // namespace
}  // namespace llm
