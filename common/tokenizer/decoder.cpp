#include "common/tokenizer/decoder.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "common/error.h"
#include "common/tokenizer/byte_alphabet.h"
#include "common/tokenizer/steps.h"
#include "common/tokenizer/unicode.h"

namespace llm {

namespace {

// Where a file has no decoder: a space between tokens.
class JoinStep : public DecodeStep {
 public:
  void text(std::string_view part) override {
    if (!std::exchange(first_, false)) next_->text(" ");
    next_->text(part);
  }
  void end_token() override { next_->end_token(); }

 private:
  bool first_ = true;
};

// Characters of byte-level BPE to bytes, and these to text: U+FFFD for what is no UTF-8.
class ByteLevelStep : public DecodeStep {
 public:
  void text(std::string_view part) override { token_ += part; }

  void end_token() override {
    std::string bytes;
    for (std::string_view rest = token_; !rest.empty();) {
      const Utf8Char front = utf8_front(rest);
      const int byte = char_to_byte(front.code_point);
      if (byte < 0) {  // an added token, spelled as it is
        bytes = token_;
        break;
      }
      bytes += static_cast<char>(byte);
      rest.remove_prefix(front.length);
    }
    token_.clear();
    bytes_ += bytes;
    hand_on(/*all=*/false);
  }

  void end() override {
    hand_on(/*all=*/true);
    next_->end_token();
    next_->end();
  }

 private:
  void hand_on(bool all) {
    std::string text;
    size_t done = 0;
    while (done < bytes_.size()) {
      const Utf8Char front = utf8_front(std::string_view(bytes_).substr(done));
      if (front.unfinished && !all) break;
      text += front.valid ? std::string_view(bytes_).substr(done, front.length) : kReplacementChar;
      done += front.length;
    }
    bytes_.erase(0, done);
    if (!text.empty()) next_->text(text);
  }

  std::string token_;  // its parts so far
  std::string bytes_;  // the beginning of a character
};

// Runs of tokens such as "<0xE2>" to the text they spell, or to one U+FFFD a byte where the run spells none. What a
// run spells is certain only when it has ended.
class ByteFallbackStep : public DecodeStep {
 public:
  void text(std::string_view part) override { token_ += part; }

  void end_token() override {
    if (const int byte = token_byte(); byte >= 0) {
      run_ += static_cast<char>(byte);
    } else {
      end_run();
      next_->text(token_);
      next_->end_token();
    }
    token_.clear();
  }

  void end() override {
    end_run();
    next_->end();
  }

 private:
  int token_byte() const {  // -1: an ordinary token
    if (token_.size() != 6 || !token_.starts_with("<0x") || token_[5] != '>') return -1;
    int byte = 0;
    for (const char c : token_.substr(3, 2)) {
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                               : -1;
      if (digit < 0) return -1;
      byte = byte * 16 + digit;
    }
    return byte;
  }

  void end_run() {
    bool valid = true;
    for (std::string_view rest = run_; valid && !rest.empty();) {
      const Utf8Char front = utf8_front(rest);
      valid = front.valid;
      rest.remove_prefix(front.length);
    }
    if (valid && !run_.empty()) {
      next_->text(run_);
      next_->end_token();
    } else {
      for (size_t i = 0; i < run_.size(); ++i) {
        next_->text(kReplacementChar);
        next_->end_token();
      }
    }
    run_.clear();
  }

  std::string token_;  // its parts so far
  std::string run_;    // bytes
};

// All tokens become one.
class FuseStep : public DecodeStep {
 public:
  void text(std::string_view part) override { next_->text(part); }
  void end_token() override {}
  void end() override {
    next_->end_token();
    next_->end();
  }
};

// Takes up to `start` times `content` off a token's front and up to `stop` times off its back.
class StripStep : public DecodeStep {
 public:
  StripStep(std::string content, int64_t start, int64_t stop)
      : content_(std::move(content)), start_(start), stop_(stop), to_strip_(start) {}

  void text(std::string_view part) override {
    std::string kept;
    while (!part.empty()) {
      const std::string_view character = part.substr(0, utf8_front(part).length);
      part.remove_prefix(character.size());
      const bool is_content = character == content_;
      if (is_content && to_strip_ > 0) {
        --to_strip_;
        continue;
      }
      to_strip_ = 0;
      if (is_content && held_ < stop_) {  // perhaps the token's last
        ++held_;
        continue;
      }
      if (!is_content) {
        for (; held_ > 0; --held_) kept += content_;
      }
      kept += character;
    }
    if (!kept.empty()) next_->text(kept);
  }

  void end_token() override {
    to_strip_ = start_;
    held_ = 0;
    next_->end_token();
  }

 private:
  const std::string content_;
  const int64_t start_, stop_;
  int64_t to_strip_;  // how many may still go at this token's front
  int64_t held_ = 0;  // how many stand at the back of what has come
};

// Writes `content` for every `pattern` within a token.
class ReplaceStep : public DecodeStep {
 public:
  ReplaceStep(std::string pattern, std::string content) : pattern_(std::move(pattern)), content_(std::move(content)) {}

  void text(std::string_view part) override {
    buffer_ += part;
    std::string replaced;
    size_t done = 0;
    for (size_t at; (at = buffer_.find(pattern_, done)) != std::string::npos; done = at + pattern_.size()) {
      replaced.append(buffer_, done, at - done).append(content_);
    }
    buffer_.erase(0, done);
    // The beginning of another match may stand at the end.
    size_t held = std::min(buffer_.size(), pattern_.size() - 1);
    while (held > 0 && !buffer_.ends_with(std::string_view(pattern_).substr(0, held))) --held;
    replaced.append(buffer_, 0, buffer_.size() - held);
    buffer_.erase(0, buffer_.size() - held);
    if (!replaced.empty()) next_->text(replaced);
  }

  void end_token() override {
    if (!buffer_.empty()) next_->text(buffer_);
    buffer_.clear();
    next_->end_token();
  }

 private:
  const std::string pattern_, content_;
  std::string buffer_;  // what may be the beginning of a match
};

// A space for every `mark`; none for those of the first token, where encoding has put one in front.
class MetaspaceStep : public DecodeStep {
 public:
  MetaspaceStep(std::string mark, bool drop_first) : mark_(std::move(mark)), drop_(drop_first) {}

  void text(std::string_view part) override {
    std::string spaced;
    while (!part.empty()) {
      const std::string_view character = part.substr(0, utf8_front(part).length);
      part.remove_prefix(character.size());
      if (character != mark_) {
        spaced += character;
      } else if (!drop_) {
        spaced += ' ';
      }
    }
    next_->text(spaced);
  }

  void end_token() override {
    drop_ = false;
    next_->end_token();
  }

 private:
  const std::string mark_;
  bool drop_;  // within the first token
};

std::string parse_character(const Json& json) {
  const std::string text = json.string();
  if (text.empty() || utf8_front(text).length != text.size()) {
    json.fail(fmt::format("is \"{}\", but must be one character", text));
  }
  return text;
}

template <class Step, class... Args>
Decoder::MakeStep maker(Args... args) {
  return [=] { return std::make_unique<Step>(args...); };
}

Decoder::MakeStep parse_replace(const Json& json) {
  const Json pattern = json.at("pattern");
  if (!pattern.has("String")) pattern.fail("must be {\"String\": \"...\"}; regular expressions are not supported here");
  const std::string from = pattern.at("String").string(), to = json.at("content").string();
  if (from.empty()) pattern.at("String").fail("is empty; give the text to be replaced");
  // With many such steps a hostile file could make one token fill the memory.
  if (to.size() > from.size()) json.at("content").fail("is longer than what it replaces, which is not supported");
  return maker<ReplaceStep>(from, to);
}

Decoder::MakeStep parse_step(const Json& json) {
  const std::string type = json.at("type").string();
  if (type == "ByteLevel") return maker<ByteLevelStep>();
  if (type == "ByteFallback") return maker<ByteFallbackStep>();
  if (type == "Fuse") return maker<FuseStep>();
  if (type == "Replace") return parse_replace(json);
  if (type == "Strip") {
    const auto most = std::numeric_limits<int32_t>::max();
    return maker<StripStep>(parse_character(json.at("content")), json.at("start").integer(0, most),
                            json.at("stop").integer(0, most));
  }
  if (type == "Metaspace") {
    const bool prefix = !json.has("add_prefix_space") || json.at("add_prefix_space").boolean();
    const bool never = json.has("prepend_scheme") && json.at("prepend_scheme").string() == "never";
    return maker<MetaspaceStep>(parse_character(json.at("replacement")), prefix && !never);
  }
  json.at("type").fail(
      fmt::format("is \"{}\", which is not supported; supported are ByteLevel, ByteFallback, Fuse, "
                  "Strip, Replace, Metaspace and Sequence",
                  type));
}

}  // namespace

class Decoding::Output : public DecodeStep {
 public:
  void text(std::string_view part) override { text_ += part; }
  void end_token() override {}
  void end() override {}
  std::string take() { return std::exchange(text_, {}); }

 private:
  std::string text_;
};

Decoding::Decoding(std::vector<std::unique_ptr<DecodeStep>> steps) : steps_(std::move(steps)) {
  auto output = std::make_unique<Output>();
  output_ = output.get();
  steps_.push_back(std::move(output));
  for (size_t i = 0; i + 1 < steps_.size(); ++i) steps_[i]->set_next(steps_[i + 1].get());
}

std::string Decoding::push(std::string_view token) {
  steps_.front()->text(token);
  steps_.front()->end_token();
  return output_->take();
}

std::string Decoding::end() {
  steps_.front()->end();
  return output_->take();
}

Decoder Decoder::parse(const Json& json) {
  Decoder decoder;
  if (json.is_null()) {
    decoder.make_steps_.push_back(maker<JoinStep>());
  } else {
    for_each_step(json, "decoders", [&](const Json& step) { decoder.make_steps_.push_back(parse_step(step)); });
  }
  return decoder;
}

Decoding Decoder::start() const {
  std::vector<std::unique_ptr<DecodeStep>> steps;
  for (const MakeStep& make_step : make_steps_) steps.push_back(make_step());
  return Decoding(std::move(steps));
}

}  // namespace llm
