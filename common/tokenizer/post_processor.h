// The special tokens around an encoded text: BOS before it, EOS after it, or whatever the file asks for.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "common/json/json.h"

namespace llm {

// TemplateProcessing, RobertaProcessing, BertProcessing, ByteLevel (which changes no ids), and Sequence of these.
class PostProcessor {
 public:
  // The `post_processor` of tokenizer.json; null: nothing is added. Throws InputError for any other kind, and for ids
  // that no token has.
  static PostProcessor parse(const Json& json, const std::function<bool(int32_t id)>& is_token);

  const std::vector<int32_t>& before() const { return before_; }
  const std::vector<int32_t>& after() const { return after_; }

 private:
  void add(const Json& json, const std::function<bool(int32_t)>& is_token);
  void add_template(const Json& json, const std::function<bool(int32_t)>& is_token);
  std::vector<int32_t> before_, after_;
};

}  // namespace llm
