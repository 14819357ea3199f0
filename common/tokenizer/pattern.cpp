#include "common/tokenizer/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>

#include "common/error.h"
#include "common/tokenizer/unicode.h"

namespace llm {

namespace {

// Oniguruma's classes, as the inside of a PCRE2 class. PCRE2's own \s has U+180E too, and its \w no marks.
constexpr std::string_view kSpace = R"(\t-\r\x{85}\p{Z})";
constexpr std::string_view kNotSpace =
    R"(\x00-\x08\x0E-\x1F!-\x{84}\x{86}-\x{9F}\x{A1}-\x{167F}\x{1681}-\x{1FFF}\x{200B}-\x{2027})"
    R"(\x{202A}-\x{202E}\x{2030}-\x{205E}\x{2060}-\x{2FFF}\x{3001}-\x{10FFFF})";
constexpr std::string_view kWord = R"(\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc})";

// Rewrites an Oniguruma expression for PCRE2.
class Translator {
 public:
  Translator(std::string_view in, const std::string& where) : in_(in), where_(where) {}

  std::string translate() {
    while (i_ < in_.size()) {
      if (in_[i_] == '\\') {
        escape();
      } else if (in_class_) {
        class_item();
      } else if (in_[i_] == '[') {
        open_class();
      } else if (in_.substr(i_, 2) == "{," && i_ + 2 < in_.size() && in_[i_ + 2] >= '0' && in_[i_ + 2] <= '9') {
        out_ += "{0,";  // PCRE2 before 10.43 takes {,n} literally
        i_ += 2;
      } else {
        out_ += in_[i_++];
      }
    }
    return out_;
  }

 private:
  void escape() {
    const char kind = i_ + 1 < in_.size() ? in_[i_ + 1] : '\0';
    if (kind == 'h' || kind == 'H' || (kind == 'W' && in_class_)) {
      fail_input("{} uses \\{}{}, which is not supported; use a class such as \\p{{L}}", where_, kind,
                 in_class_ ? " within [...]" : "");
    }
    const std::string_view members = kind == 's' ? kSpace : kind == 'S' ? kNotSpace : kWord;
    if (kind == 's' || kind == 'S' || kind == 'w') {
      out_ += in_class_ ? std::string(members) : fmt::format("[{}]", members);
    } else if (kind == 'W') {
      out_ += fmt::format("[^{}]", kWord);
    } else if (kind == 'u') {  // \u00E9
      out_ += fmt::format("\\x{{{}}}", in_.substr(std::min(i_ + 2, in_.size()), 4));
      i_ += 4;
    } else {
      out_ += in_.substr(i_, 2);
    }
    i_ += 2;
  }

  void open_class() {
    in_class_ = true;
    out_ += in_[i_++];
    if (i_ < in_.size() && in_[i_] == '^') out_ += in_[i_++];
    if (i_ < in_.size() && in_[i_] == ']') out_ += in_[i_++];  // the first in a class stands for itself
  }

  void class_item() {
    const bool posix = in_.substr(i_, 2) == "[:";
    if ((in_[i_] == '[' && !posix) || in_.substr(i_, 2) == "&&") {
      fail_input("{} has a class within a class, which is not supported; write it as one class", where_);
    }
    const size_t posix_end = posix ? in_.find(":]", i_) : std::string_view::npos;
    if (posix_end != std::string_view::npos) {
      out_ += in_.substr(i_, posix_end + 2 - i_);
      i_ = posix_end + 2;
      return;
    }
    in_class_ = in_[i_] != ']';
    out_ += in_[i_++];
  }

  std::string_view in_;
  const std::string& where_;
  size_t i_ = 0;
  bool in_class_ = false;
  std::string out_;
};

std::string error_text(int code) {
  PCRE2_UCHAR text[256];
  pcre2_get_error_message(code, text, sizeof(text));
  return reinterpret_cast<const char*>(text);
}

using MatchData = std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)>;

}  // namespace

Pattern::Pattern(const std::string& expression, uint32_t options, std::string where) : where_(std::move(where)) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()), expression.size(), options | PCRE2_UTF,
                            &error, &offset, nullptr),
              pcre2_code_free);
  if (!code_) fail_input("{} can't be compiled ({}); mend the expression", where_, error_text(error));
  pcre2_jit_compile(code_.get(), PCRE2_JIT_COMPLETE);  // where there is no JIT, matching is slower, and the same
}

Pattern Pattern::regex(std::string_view expression, std::string where) {
  const std::string translated = Translator(expression, where).translate();
  // Oniguruma's ^ and $ always mean lines. \C could tear characters apart.
  return {translated, PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, std::move(where)};
}

Pattern Pattern::literal(std::string_view string, std::string where) {
  return {std::string(string), PCRE2_LITERAL, std::move(where)};
}

Pattern Pattern::parse(const Json& json) {
  if (json.has("String")) return literal(json.at("String").string(), json.at("String").where());
  if (json.has("Regex")) return regex(json.at("Regex").string(), json.at("Regex").where());
  json.fail("must be {\"String\": \"...\"} or {\"Regex\": \"...\"}");
}

std::vector<Pattern::Span> Pattern::split(std::string_view text) const {
  const MatchData match(pcre2_match_data_create(1, nullptr), pcre2_match_data_free);
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  std::vector<Span> spans;
  size_t done = 0;  // all before this is in spans
  size_t from = 0;
  while (!text.empty() && from <= text.size()) {
    int result = pcre2_match(code_.get(), subject, text.size(), from, PCRE2_NO_UTF_CHECK, match.get(), nullptr);
    if (result == PCRE2_ERROR_JIT_STACKLIMIT) {
      result =
          pcre2_match(code_.get(), subject, text.size(), from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, match.get(), nullptr);
    }
    if (result == PCRE2_ERROR_NOMATCH) break;
    if (result < 0) {
      fail_input("{} fails on this text ({}); give a simpler expression or a shorter text", where_, error_text(result));
    }
    const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(match.get());
    const Span found{ends[0], ends[1], true};
    if (found.begin < done || found.end < found.begin) {  // a \K within a lookaround, reached by a detour
      fail_input("{} ends a match before it begins; write it without \\K", where_);
    }
    const bool empty_after_match = found.begin == found.end && found.end == done && !spans.empty();
    if (empty_after_match) {  // an empty match counts only where no match has just ended
      if (from == text.size()) break;
      from += utf8_front(text.substr(from)).length;
      continue;
    }
    if (done < found.begin) spans.push_back({done, found.begin, false});
    spans.push_back(found);
    done = from = found.end;
  }
  if (done < text.size()) spans.push_back({done, text.size(), false});
  return spans;
}

}  // namespace llm
