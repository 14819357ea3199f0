#include "common/tokenizer/tokenizer.h"

#include <algorithm>
#include <unordered_map>

#include "common/error.h"
#include "common/json/json.h"
#include "common/tokenizer/added_tokens.h"
#include "common/tokenizer/bpe.h"
#include "common/tokenizer/decoder.h"
#include "common/tokenizer/normalizer.h"
#include "common/tokenizer/post_processor.h"
#include "common/tokenizer/pre_tokenizer.h"
#include "common/tokenizer/unicode.h"
#include "common/tokenizer/vocabulary.h"

namespace llm {

namespace {

constexpr size_t kMaxTextBytes = size_t{1} << 28;

// Words come again and again: where in the ids each was encoded first. For one text, so that no lock is needed.
class WordMemory {
 public:
  void encode(const Bpe& bpe, std::string_view word, std::vector<int32_t>& ids) {
    if (word.size() > kMaxWordBytes) return bpe.encode(word, ids);
    if (const auto known = places_.find(word); known != places_.end()) {
      const auto [begin, end] = known->second;
      for (size_t i = begin; i < end; ++i) ids.push_back(ids[i]);
      return;
    }
    const size_t begin = ids.size();
    bpe.encode(word, ids);
    if (places_.size() < kMaxWords) places_.emplace(word, Place{begin, ids.size()});
  }

 private:
  static constexpr size_t kMaxWordBytes = 64, kMaxWords = 1 << 16;
  struct Place {
    size_t begin, end;
  };
  std::unordered_map<std::string, Place, StringHash, std::equal_to<>> places_;
};

}  // namespace

struct Tokenizer::Parts {
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  Bpe bpe;
  AddedTokens added;
  PostProcessor post_processor;
  Decoder decoder;

  bool is_token(int32_t id) const { return added.find(id) != nullptr || bpe.vocabulary().token(id) != nullptr; }
};

Tokenizer::Tokenizer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Tokenizer Tokenizer::load(const std::filesystem::path& folder) {
  const Json json = Json::parse_file(folder / "tokenizer.json");
  const Json nothing = Json::parse("null", "");
  const auto part = [&](std::string_view key) { return json.has(key) ? json.at(key) : nothing; };

  auto parts = std::make_unique<Parts>();
  parts->normalizer = Normalizer::parse(part("normalizer"));
  parts->pre_tokenizer = PreTokenizer::parse(part("pre_tokenizer"));
  parts->bpe = Bpe::parse(json.at("model"));
  if (json.has("added_tokens")) {
    parts->added = AddedTokens::parse(json.at("added_tokens"), parts->bpe.vocabulary(), parts->normalizer);
  }
  parts->post_processor = PostProcessor::parse(part("post_processor"), [&](int32_t id) { return parts->is_token(id); });
  parts->decoder = Decoder::parse(part("decoder"));
  return Tokenizer(std::move(parts));
}

std::vector<int32_t> Tokenizer::encode(std::string_view bytes, bool add_special_tokens) const {
  if (bytes.size() > kMaxTextBytes) {
    fail_input("a text of {} bytes is too long to encode at once; give at most {}", bytes.size(), kMaxTextBytes);
  }
  const Parts& parts = *parts_;
  std::vector<int32_t> ids;
  if (add_special_tokens) ids = parts.post_processor.before();

  WordMemory words;
  const std::string text = repair_utf8(bytes);
  for (const Segment& raw : parts.added.split_raw(text)) {
    if (raw.id >= 0) {
      ids.push_back(raw.id);
      continue;
    }
    const bool at_start = raw.text.data() == text.data();
    const std::string normalized = parts.normalizer.normalize(std::string(raw.text));
    for (const Segment& segment : parts.added.split_normalized(normalized)) {
      if (segment.id >= 0) {
        ids.push_back(segment.id);
        continue;
      }
      parts.pre_tokenizer.split(segment.text, at_start && segment.text.data() == normalized.data(),
                                [&](std::string_view word) { words.encode(parts.bpe, word, ids); });
    }
  }

  if (add_special_tokens) {
    const std::vector<int32_t>& after = parts.post_processor.after();
    ids.insert(ids.end(), after.begin(), after.end());
  }
  return ids;
}

std::string Tokenizer::decode(const std::vector<int32_t>& ids, bool skip_special_tokens) const {
  StreamDecoder decoder(*this, skip_special_tokens);
  std::string text;
  for (const int32_t id : ids) text += decoder.push(id);
  return text + decoder.finish();
}

int Tokenizer::vocab_size() const {
  return std::max(parts_->bpe.vocabulary().size(), parts_->added.vocabulary().size());
}

bool Tokenizer::is_special(int32_t id) const {
  const AddedToken* added = parts_->added.find(id);
  return added != nullptr && added->special;
}

std::string Tokenizer::token(int32_t id) const {
  if (const AddedToken* added = parts_->added.find(id)) return added->content;
  const std::string* token = parts_->bpe.vocabulary().token(id);
  return token == nullptr ? "" : *token;
}

int32_t Tokenizer::find(std::string_view token) const {
  const int32_t id = parts_->added.vocabulary().find(token);
  return id >= 0 ? id : parts_->bpe.vocabulary().find(token);
}

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, bool skip_special_tokens)
    : parts_(tokenizer.parts_.get()),
      skip_special_tokens_(skip_special_tokens),
      decoding_(std::make_unique<Decoding>(parts_->decoder.start())) {}
StreamDecoder::StreamDecoder(StreamDecoder&&) noexcept = default;
StreamDecoder& StreamDecoder::operator=(StreamDecoder&&) noexcept = default;
StreamDecoder::~StreamDecoder() = default;

std::string StreamDecoder::push(int32_t id) {
  if (const AddedToken* added = parts_->added.find(id)) {
    return added->special && skip_special_tokens_ ? "" : decoding_->push(added->spelling);
  }
  const std::string* token = parts_->bpe.vocabulary().token(id);
  return token == nullptr ? "" : decoding_->push(*token);
}

std::string StreamDecoder::finish() {
  std::string rest = decoding_->end();
  *decoding_ = parts_->decoder.start();
  return rest;
}

}  // namespace llm
