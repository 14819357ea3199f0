// Tokens back to text, as they come: nothing is decoded twice, and what has come out never changes.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/json/json.h"

namespace llm {

// One step of a decoder. Tokens flow through it in parts: text() any number of times, then end_token(); after the last
// token end(). A step hands on what is certain and keeps the rest: the bytes of half a character, a run of byte tokens,
// spaces that may turn out to be the token's last.
class DecodeStep {
 public:
  virtual ~DecodeStep() = default;
  virtual void text(std::string_view part) = 0;  // whole characters
  virtual void end_token() = 0;
  virtual void end() { next_->end(); }
  void set_next(DecodeStep* next) { next_ = next; }

 protected:
  DecodeStep* next_ = nullptr;
};

// A decoder at work on one sequence of tokens.
class Decoding {
 public:
  explicit Decoding(std::vector<std::unique_ptr<DecodeStep>> steps);
  std::string push(std::string_view token);  // the text that this token, as the vocabulary spells it, makes certain
  std::string end();                         // the rest

 private:
  class Output;
  std::string take();
  std::vector<std::unique_ptr<DecodeStep>> steps_;  // the last one is output_
  Output* output_;
};

// ByteLevel, ByteFallback, Fuse, Strip, Replace, Metaspace, and Sequence of these.
class Decoder {
 public:
  // The `decoder` of tokenizer.json; null: tokens with a space between. Throws InputError for any other kind.
  static Decoder parse(const Json& json);

  Decoding start() const;

  using MakeStep = std::function<std::unique_ptr<DecodeStep>()>;

 private:
  std::vector<MakeStep> make_steps_;
};

}  // namespace llm
