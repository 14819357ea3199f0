#include "common/tokenizer/normalizer.h"

#include <utf8proc.h>

#include <cstdlib>
#include <map>
#include <memory>

#include "common/error.h"
#include "common/tokenizer/pattern.h"
#include "common/tokenizer/steps.h"
#include "common/tokenizer/unicode.h"

namespace llm {

namespace {

// No real file comes near: NFKD's longest expansion is elevenfold. A hostile one could double a text at every step.
constexpr size_t kMaxGrowth = 64;
constexpr size_t kMaxGrowthBase = 1024;

std::string to_unicode_form(const std::string& text, int form) {
  if (is_ascii(text)) return text;
  utf8proc_uint8_t* mapped = nullptr;
  const auto length =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                   &mapped, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | form));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, std::free);
  require(length >= 0, "normalizing: {}", utf8proc_errmsg(length));
  return {reinterpret_cast<const char*>(mapped), static_cast<size_t>(length)};
}

std::string to_lowercase(const std::string& text) {
  std::string lower;
  lower.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const Utf8Char front = utf8_front(std::string_view(text).substr(i));
    i += front.length;
    if (front.code_point == 0x130) {  // İ, the one character whose lowercase is two
      lower += "i\u0307";
    } else {
      append_utf8(lower, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(front.code_point))));
    }
  }
  return lower;
}

std::string replace_all(const std::string& text, const Pattern& pattern, const std::string& content) {
  std::string replaced;
  for (const Pattern::Span& span : pattern.split(text)) {
    replaced += span.is_match ? content : text.substr(span.begin, span.end - span.begin);
  }
  return replaced;
}

}  // namespace

Normalizer Normalizer::parse(const Json& json) {
  Normalizer normalizer;
  normalizer.where_ = json.where();
  if (!json.is_null()) for_each_step(json, "normalizers", [&](const Json& step) { normalizer.add(step); });
  return normalizer;
}

void Normalizer::add(const Json& json) {
  static const std::map<std::string, int> forms = {{"NFC", UTF8PROC_COMPOSE},
                                                   {"NFD", UTF8PROC_DECOMPOSE},
                                                   {"NFKC", UTF8PROC_COMPOSE | UTF8PROC_COMPAT},
                                                   {"NFKD", UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT}};
  const std::string type = json.at("type").string();
  if (const auto form = forms.find(type); form != forms.end()) {
    steps_.push_back([form = form->second](const std::string& text) { return to_unicode_form(text, form); });
  } else if (type == "Lowercase") {
    steps_.push_back(to_lowercase);
  } else if (type == "Prepend") {
    steps_.push_back(
        [front = json.at("prepend").string()](std::string text) { return text.empty() ? text : front + text; });
  } else if (type == "Replace") {
    const Json pattern = json.at("pattern");
    const std::string content = json.at("content").string();
    if (pattern.has("Regex") && content.find('$') != std::string::npos) {
      json.at("content").fail("refers to groups of the pattern, which is not supported; give a plain text");
    }
    steps_.push_back([pattern = Pattern::parse(pattern), content](const std::string& text) {
      return replace_all(text, pattern, content);
    });
  } else {
    json.at("type").fail(
        fmt::format("is \"{}\", which is not supported; supported are NFC, NFD, NFKC, NFKD, Lowercase, "
                    "Prepend, Replace and Sequence",
                    type));
  }
}

std::string Normalizer::normalize(std::string text) const {
  const size_t longest = kMaxGrowth * (text.size() + kMaxGrowthBase);
  for (const Step& step : steps_) {
    text = step(std::move(text));
    if (text.size() > longest) {
      fail_input("{} makes a text more than {} times as long; mend its Prepend and Replace", where_, kMaxGrowth);
    }
  }
  return text;
}

}  // namespace llm
