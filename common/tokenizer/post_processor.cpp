#include "common/tokenizer/post_processor.h"

#include "common/error.h"
#include "common/tokenizer/steps.h"
#include "common/tokenizer/vocabulary.h"

namespace llm {

namespace {

int32_t parse_id(const Json& json, const std::function<bool(int32_t)>& is_token) {
  const auto id = static_cast<int32_t>(json.integer(0, kMaxTokenId));
  if (!is_token(id)) json.fail(fmt::format("is {}, an id that no token has; give a token's id", id));
  return id;
}

}  // namespace

PostProcessor PostProcessor::parse(const Json& json, const std::function<bool(int32_t)>& is_token) {
  PostProcessor processor;
  if (!json.is_null()) for_each_step(json, "processors", [&](const Json& step) { processor.add(step, is_token); });
  return processor;
}

void PostProcessor::add(const Json& json, const std::function<bool(int32_t)>& is_token) {
  const std::string type = json.at("type").string();
  if (type == "TemplateProcessing") {
    add_template(json, is_token);
  } else if (type == "RobertaProcessing" || type == "BertProcessing") {  // "cls": ["<s>", 0], "sep": ["</s>", 2]
    before_.insert(before_.begin(), parse_id(json.at("cls").at(1), is_token));
    after_.push_back(parse_id(json.at("sep").at(1), is_token));
  } else if (type != "ByteLevel") {
    json.at("type").fail(
        fmt::format("is \"{}\", which is not supported; supported are TemplateProcessing, "
                    "RobertaProcessing, BertProcessing, ByteLevel and Sequence",
                    type));
  }
}

// "single" is the list of what stands where there is one text: special tokens, and once the text itself, sequence A.
void PostProcessor::add_template(const Json& json, const std::function<bool(int32_t)>& is_token) {
  std::vector<int32_t> before, after;
  int texts = 0;
  json.at("single").for_each([&](const Json& piece) {
    if (piece.has("Sequence")) {
      if (piece.at("Sequence").at("id").string() != "A" || ++texts > 1) {
        piece.fail("must be the one place of sequence A; encoding pairs of texts is not supported");
      }
      return;
    }
    const std::string name = piece.at("SpecialToken").at("id").string();
    json.at("special_tokens").at(name).at("ids").for_each([&](const Json& id) {
      (texts == 0 ? before : after).push_back(parse_id(id, is_token));
    });
  });
  if (texts == 0)
    json.at("single").fail("has no place for the text; add {\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}");
  before_.insert(before_.begin(), before.begin(), before.end());
  after_.insert(after_.end(), after.begin(), after.end());
}

}  // namespace llm
