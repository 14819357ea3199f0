#include "common/tokenizer/pre_tokenizer.h"

#include <map>

#include "common/error.h"
#include "common/tokenizer/byte_alphabet.h"
#include "common/tokenizer/pattern.h"
#include "common/tokenizer/steps.h"
#include "common/tokenizer/unicode.h"

namespace llm {

namespace {

// What to do with the places a pattern found: cut them out, throw them away, or leave them with a neighbor.
enum class Behavior { isolated, removed, merged_with_previous, merged_with_next, contiguous };

Behavior parse_behavior(const Json& json) {
  static const std::map<std::string, Behavior> behaviors = {{"Isolated", Behavior::isolated},
                                                            {"Removed", Behavior::removed},
                                                            {"MergedWithPrevious", Behavior::merged_with_previous},
                                                            {"MergedWithNext", Behavior::merged_with_next},
                                                            {"Contiguous", Behavior::contiguous}};
  const std::string name = json.string();
  const auto found = behaviors.find(name);
  if (found == behaviors.end()) {
    json.fail(fmt::format("is \"{}\", but must be Isolated, Removed, MergedWithPrevious, MergedWithNext or Contiguous",
                          name));
  }
  return found->second;
}

// Joins the spans that belong together under `behavior`; is_match then means: to be thrown away.
std::vector<Pattern::Span> arrange(const std::vector<Pattern::Span>& spans, Behavior behavior) {
  std::vector<Pattern::Span> pieces;
  for (size_t i = 0; i < spans.size(); ++i) {
    const bool is_match = spans[i].is_match;
    const bool after_match = i > 0 && spans[i - 1].is_match;
    bool join = false;  // with the piece before
    switch (behavior) {
      case Behavior::isolated:
      case Behavior::removed:
        break;
      case Behavior::merged_with_previous:
        join = is_match && !after_match;
        break;
      case Behavior::merged_with_next:
        join = !is_match && after_match;
        break;
      case Behavior::contiguous:
        join = is_match == after_match;
        break;
    }
    if (join && i > 0) {
      pieces.back().end = spans[i].end;
    } else {
      pieces.push_back({spans[i].begin, spans[i].end, is_match && behavior == Behavior::removed});
    }
  }
  return pieces;
}

bool flag(const Json& json, std::string_view key, bool otherwise) {
  return json.has(key) ? json.at(key).boolean() : otherwise;
}

}  // namespace

PreTokenizer PreTokenizer::parse(const Json& json) {
  PreTokenizer pre_tokenizer;
  if (!json.is_null()) for_each_step(json, "pretokenizers", [&](const Json& step) { pre_tokenizer.add(step); });
  return pre_tokenizer;
}

void PreTokenizer::add(const Json& json) {
  const std::string type = json.at("type").string();
  if (type == "ByteLevel") {
    if (has_byte_level_) json.fail("is a second ByteLevel, but bytes are spelled as characters only once; remove it");
    has_byte_level_ = true;
    steps_.push_back(byte_level(json));
  } else if (type == "Split") {
    steps_.push_back(split_by_pattern(json));
  } else if (type == "Digits") {
    steps_.push_back(digits(json));
  } else if (type == "Metaspace") {
    steps_.push_back(metaspace(json));
  } else {
    json.at("type").fail(
        fmt::format("is \"{}\", which is not supported; supported are ByteLevel, Split, Digits, "
                    "Metaspace and Sequence",
                    type));
  }
}

void PreTokenizer::split(std::string_view text, bool at_start,
                         const std::function<void(std::string_view)>& visit) const {
  run(0, {text, at_start}, visit);
}

void PreTokenizer::run(size_t step, Piece piece, const std::function<void(std::string_view)>& visit) const {
  if (piece.text.empty()) return;
  if (step == steps_.size()) return visit(piece.text);
  steps_[step](piece, [&](Piece part) { run(step + 1, part, visit); });
}

PreTokenizer::Step PreTokenizer::byte_level(const Json& json) {
  // GPT-2's words: contractions, then letters, digits or other characters with the space before them, then spaces.
  static constexpr std::string_view kGpt2 =
      R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
  const bool add_prefix_space = json.at("add_prefix_space").boolean();
  const bool use_regex = flag(json, "use_regex", true);
  const Pattern words = Pattern::regex(kGpt2, json.where());
  return [=](Piece piece, const Next& next) {
    std::string with_space;
    if (add_prefix_space && piece.text.front() != ' ') {
      with_space.append(" ").append(piece.text);
      piece.text = with_space;
    }
    std::string spelled;
    const auto spell = [&](size_t begin, size_t end) {
      spelled.clear();
      for (const char byte : piece.text.substr(begin, end - begin)) {
        spelled += byte_to_char(static_cast<uint8_t>(byte));
      }
      next({spelled, piece.at_start && begin == 0});
    };
    if (!use_regex) return spell(0, piece.text.size());
    for (const Pattern::Span& span : words.split(piece.text)) spell(span.begin, span.end);
  };
}

PreTokenizer::Step PreTokenizer::split_by_pattern(const Json& json) {
  const Pattern pattern = Pattern::parse(json.at("pattern"));
  const Behavior behavior = parse_behavior(json.at("behavior"));
  const bool invert = flag(json, "invert", false);
  return [=](Piece piece, const Next& next) {
    std::vector<Pattern::Span> spans = pattern.split(piece.text);
    if (invert) {
      for (Pattern::Span& span : spans) span.is_match = !span.is_match;
    }
    for (const Pattern::Span& part : arrange(spans, behavior)) {
      if (part.is_match) continue;
      next({piece.text.substr(part.begin, part.end - part.begin), piece.at_start && part.begin == 0});
    }
  };
}

PreTokenizer::Step PreTokenizer::digits(const Json& json) {
  const Behavior behavior = json.at("individual_digits").boolean() ? Behavior::isolated : Behavior::contiguous;
  const Pattern digit = Pattern::regex(R"(\p{N})", json.where());
  return [=](Piece piece, const Next& next) {
    for (const Pattern::Span& part : arrange(digit.split(piece.text), behavior)) {
      next({piece.text.substr(part.begin, part.end - part.begin), piece.at_start && part.begin == 0});
    }
  };
}

PreTokenizer::Step PreTokenizer::metaspace(const Json& json) {
  const std::string replacement = json.at("replacement").string();
  if (replacement.empty() || utf8_front(replacement).length != replacement.size()) {
    json.at("replacement").fail(fmt::format("is \"{}\", but must be one character", replacement));
  }
  // Files written before 2024 say add_prefix_space instead.
  const bool add_prefix_space = flag(json, "add_prefix_space", true);
  const std::string scheme = json.has("prepend_scheme") ? json.at("prepend_scheme").string()
                             : add_prefix_space         ? "always"
                                                        : "never";
  if (scheme != "always" && scheme != "first" && scheme != "never") {
    json.at("prepend_scheme").fail(fmt::format("is \"{}\", but must be always, first or never", scheme));
  }
  if (!add_prefix_space && scheme != "never") {
    json.at("prepend_scheme").fail(fmt::format("is \"{}\", but add_prefix_space is false; remove one of them", scheme));
  }
  const bool cut = flag(json, "split", true);
  const Pattern space = Pattern::literal(" ", json.where());
  const Pattern mark = Pattern::literal(replacement, json.where());

  return [=](Piece piece, const Next& next) {
    std::string text;
    for (const Pattern::Span& span : space.split(piece.text)) {
      text += span.is_match ? std::string_view(replacement) : piece.text.substr(span.begin, span.end - span.begin);
    }
    const bool prepend = scheme == "always" || (scheme == "first" && piece.at_start);
    if (prepend && !text.starts_with(replacement)) text.insert(0, replacement);
    if (!cut) return next({text, piece.at_start});
    for (const Pattern::Span& part : arrange(mark.split(text), Behavior::merged_with_next)) {
      next({std::string_view(text).substr(part.begin, part.end - part.begin), piece.at_start && part.begin == 0});
    }
  };
}

}  // namespace llm
