// Broken and hostile tokenizer files: each is refused in one sentence that names the file and the field.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>

#include "common/json/json.h"
#include "common/tokenizer/tokenizer.h"
#include "tests/support/sentence_of.h"
#include "tests/support/temporary_folder.h"

namespace llm {
namespace {

// A small healthy file, by its fields' JSON. An empty value leaves the field out.
using Fields = std::map<std::string, std::string>;

const Fields kHealthy = {
    {"model.type", R"("BPE")"},
    {"model.vocab", R"({"<s>": 0, "a": 1, "b": 2, "ab": 3, "\u0120": 4})"},
    {"model.merges", R"(["a b"])"},
    {"added_tokens", R"([{"id": 0, "content": "<s>", "special": true}, {"id": 7, "content": "<tool>"}])"},
    {"normalizer", R"({"type": "NFC"})"},
    {"pre_tokenizer", R"({"type": "ByteLevel", "add_prefix_space": false})"},
    {"post_processor", R"({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
       {"Sequence": {"id": "A", "type_id": 0}}], "special_tokens": {"<s>": {"id": "<s>", "ids": [0]}}})"},
    {"decoder", R"({"type": "ByteLevel"})"},
};

std::string file_of(const Fields& fields) {
  std::string model, others;
  for (const auto& [name, value] : fields) {
    if (value.empty()) continue;
    if (name.starts_with("model.")) {
      model += fmt::format("{}\"{}\": {}", model.empty() ? "" : ", ", name.substr(6), value);
    } else {
      others += fmt::format(", \"{}\": {}", name, value);
    }
  }
  return fmt::format("{{\"model\": {{{}}}{}}}", model, others);
}

// Loads the file and uses it; the sentence that says why it can't be.
std::string refusal(const std::string& file) {
  const auto folder = temporary_folder();
  write_file(folder / "tokenizer.json", file);
  const std::string sentence = sentence_of([&] {
    const Tokenizer tokenizer = Tokenizer::load(folder);
    tokenizer.decode(tokenizer.encode("ab <s> <tool> \u00e9"));
  });
  if (sentence != "(no error)") {
    EXPECT_NE(sentence.find("tokenizer.json"), std::string::npos) << sentence;
    EXPECT_EQ(sentence.find('\n'), std::string::npos) << sentence;
  }
  return sentence;
}

TEST(DamagedTokenizer, TheHealthyOneLoads) {
  const auto folder = temporary_folder();
  write_file(folder / "tokenizer.json", file_of(kHealthy));
  const Tokenizer tokenizer = Tokenizer::load(folder);
  EXPECT_EQ(tokenizer.encode("ab<tool> a"), (std::vector<int32_t>{0, 3, 7, 4, 1}));
  EXPECT_EQ(tokenizer.decode({0, 3, 7, 4, 1}), "ab<tool> a");
  EXPECT_EQ(tokenizer.vocab_size(), 8);
  EXPECT_EQ(tokenizer.token(3), "ab");
  EXPECT_EQ(tokenizer.token(5), "");
  EXPECT_EQ(tokenizer.find("<tool>"), 7);
  EXPECT_EQ(tokenizer.find("nothing"), -1);
  EXPECT_TRUE(tokenizer.is_special(0));
  EXPECT_FALSE(tokenizer.is_special(7));
  EXPECT_FALSE(tokenizer.is_special(99));
}

TEST(DamagedTokenizer, Fields) {
  const struct {
    const char *field, *value, *fragment;
  } cases[] = {
      // the model
      {"model.type", R"("WordPiece")", "model.type is \"WordPiece\", which is not supported; give a model whose"},
      {"model.type", R"("Unigram")", "model.type is \"Unigram\", which is not supported"},
      {"model.type", "3", "model.type is 3, but must be a string"},
      {"model.vocab", "", "model lacks the field \"vocab\""},
      {"model.vocab", "{}", "model.vocab is empty; give at least one token"},
      {"model.vocab", "7", "model.vocab must be"},
      {"model.vocab", R"([["a", 0.5]])", "model.vocab must be an object"},
      {"model.vocab", R"({"a": -1, "b": 2})", "model.vocab.a is -1, but must be an integer from 0"},
      {"model.vocab", R"({"a": 1, "b": 2147483647})", "model.vocab.b is 2147483647, but must be an integer from 0"},
      {"model.vocab", R"({"a": 18446744073709551615})",
       "model.vocab.a is 18446744073709551615, but must be an integer"},
      {"model.vocab", R"({"a": 1.5})", "model.vocab.a is 1.5, but must be an integer"},
      {"model.vocab", R"({"a": "1"})", "model.vocab.a is \"1\", but must be an integer"},
      {"model.vocab", R"({"a": 1, "b": 1})", "model.vocab.b is 1, the id of \"a\" already"},
      {"model.vocab", R"({"a": 1, "a": 2})", "\"a\" stands twice in one object"},
      {"model.merges", "", "model lacks the field \"merges\""},
      {"model.merges", "{}", "model.merges must be an array"},
      {"model.merges", R"(["a c"])", "model.merges[0] needs the token \"c\", which model.vocab lacks"},
      {"model.merges", R"(["a b", "b a"])", "model.merges[1] needs the token \"ba\", which model.vocab lacks"},
      {"model.merges", R"(["a"])", "model.merges[0] is \"a\", but must be two tokens with one space between"},
      {"model.merges", R"(["a b c"])", "model.merges[0] is \"a b c\", but must be two tokens"},
      {"model.merges", R"([["a"]])", "model.merges[0] must be a pair of tokens"},
      {"model.merges", R"([["a", 1]])", "model.merges[0][1] is 1, but must be a string"},
      {"model.merges", "[null]", "model.merges[0] is null, but must be a string"},
      {"model.unk_token", R"("<unk>")", "model.unk_token is \"<unk>\", which model.vocab lacks"},
      {"model.unk_token", "0", "model.unk_token is 0, but must be a string"},
      {"model.byte_fallback", "1", "model.byte_fallback is 1, but must be true or false"},
      {"model.ignore_merges", R"("yes")", "model.ignore_merges is \"yes\", but must be true or false"},
      {"model.dropout", "0.1", "model.dropout makes encoding random, which is not supported"},
      {"model.end_of_word_suffix", R"("</w>")", "model.end_of_word_suffix is set, which is not supported"},
      {"model.continuing_subword_prefix", R"("##")", "model.continuing_subword_prefix is set"},
      // added tokens
      {"added_tokens", "5", "added_tokens must be an array"},
      {"added_tokens", "[5]", "added_tokens[0] must be an object"},
      {"added_tokens", R"([{"id": 7}])", "added_tokens[0] lacks the field \"content\""},
      {"added_tokens", R"([{"content": "x"}])", "added_tokens[0] lacks the field \"id\""},
      {"added_tokens", R"([{"id": -7, "content": "x"}])", "added_tokens[0].id is -7, but must be an integer from 0"},
      {"added_tokens", R"([{"id": 1e99, "content": "x"}])", "added_tokens[0].id is 1e+99, but must be an integer"},
      {"added_tokens", R"([{"id": 7, "content": ""}])", "added_tokens[0].content is empty"},
      {"added_tokens", R"([{"id": 1, "content": "x"}])", "added_tokens[0].id is 1, the id of \"a\" already"},
      {"added_tokens", R"([{"id": 9, "content": "a"}])",
       "added_tokens[0].id is 9, but model.vocab gives \"a\" the id 1"},
      {"added_tokens", R"([{"id": 7, "content": "x"}, {"id": 7, "content": "y"}])",
       "added_tokens[1].id is 7, the id of \"x\" already"},
      {"added_tokens", R"([{"id": 7, "content": "x"}, {"id": 8, "content": "x"}])",
       "added_tokens[1].content is \"x\", which is added twice"},
      {"added_tokens", R"([{"id": 7, "content": "x", "lstrip": 1}])", "added_tokens[0].lstrip is 1, but must be true"},
      // normalizers
      {"normalizer", R"({"type": "BertNormalizer"})", "normalizer.type is \"BertNormalizer\", which is not supported"},
      {"normalizer", "{}", "normalizer lacks the field \"type\""},
      {"normalizer", R"("NFC")", "normalizer must be an object"},
      {"normalizer", R"({"type": "Sequence"})", "normalizer lacks the field \"normalizers\""},
      {"normalizer", R"({"type": "Sequence", "normalizers": [{"type": "Precompiled"}]})",
       "normalizer.normalizers[0].type is \"Precompiled\", which is not supported"},
      {"normalizer", R"({"type": "Prepend"})", "normalizer lacks the field \"prepend\""},
      {"normalizer", R"({"type": "Replace", "pattern": "a", "content": "b"})", "normalizer.pattern must be an object"},
      {"normalizer", R"({"type": "Replace", "pattern": {"Regex": "(a"}, "content": "b"})",
       "normalizer.pattern.Regex can't be compiled (missing closing parenthesis)"},
      {"normalizer", R"x({"type": "Replace", "pattern": {"Regex": "(a)"}, "content": "$1"})x",
       "normalizer.content refers to groups"},
      // pre-tokenizers
      {"pre_tokenizer", R"({"type": "BertPreTokenizer"})", "pre_tokenizer.type is \"BertPreTokenizer\", which is not"},
      {"pre_tokenizer", R"({"type": "ByteLevel"})", "pre_tokenizer lacks the field \"add_prefix_space\""},
      {"pre_tokenizer", R"({"type": "Split", "pattern": {"Regex": "a"}, "behavior": "Isolate"})",
       "pre_tokenizer.behavior is \"Isolate\", but must be Isolated, Removed"},
      {"pre_tokenizer", R"({"type": "Split", "pattern": {"Regex": "[a"}, "behavior": "Isolated"})",
       "pre_tokenizer.pattern.Regex can't be compiled (missing terminating ] for character class)"},
      {"pre_tokenizer", R"({"type": "Split", "pattern": {"Regex": "\\p{Nonsense}"}, "behavior": "Isolated"})",
       "pre_tokenizer.pattern.Regex can't be compiled (unknown property"},
      {"pre_tokenizer", R"({"type": "Split", "pattern": {"Regex": "\\"}, "behavior": "Isolated"})",
       "pre_tokenizer.pattern.Regex can't be compiled"},
      {"pre_tokenizer", R"({"type": "Split", "pattern": {"Regex": "\\uzz"}, "behavior": "Isolated"})",
       "pre_tokenizer.pattern.Regex can't be compiled"},
      {"pre_tokenizer", R"({"type": "Split", "pattern": {"Regex": "\\u"}, "behavior": "Isolated"})",
       "pre_tokenizer.pattern.Regex can't be compiled"},
      {"pre_tokenizer", R"({"type": "Split", "pattern": {"Regex": "\\u00a\u732b"}, "behavior": "Isolated"})",
       "pre_tokenizer.pattern.Regex can't be compiled (UTF-8 error"},
      {"pre_tokenizer", R"({"type": "Split", "pattern": {"Regex": "\\C"}, "behavior": "Isolated"})",
       "pre_tokenizer.pattern.Regex can't be compiled"},
      {"pre_tokenizer", R"({"type": "Split", "pattern": {"Regex": "[a[bc]]"}, "behavior": "Isolated"})",
       "pre_tokenizer.pattern.Regex has a class within a class, which is not supported"},
      {"pre_tokenizer", R"({"type": "Split", "pattern": {"Regex": "\\h"}, "behavior": "Isolated"})",
       "pre_tokenizer.pattern.Regex uses \\h, which is not supported"},
      {"pre_tokenizer", R"({"type": "Split", "pattern": {"Rgex": "a"}, "behavior": "Isolated"})",
       "pre_tokenizer.pattern must be {\"String\": \"...\"} or {\"Regex\": \"...\"}"},
      {"pre_tokenizer", R"({"type": "Metaspace", "replacement": "__"})",
       "pre_tokenizer.replacement is \"__\", but must"},
      {"pre_tokenizer", R"({"type": "Metaspace", "replacement": "_", "prepend_scheme": "often"})",
       "pre_tokenizer.prepend_scheme is \"often\", but must be always, first or never"},
      {"pre_tokenizer",
       R"({"type": "Metaspace", "replacement": "_", "prepend_scheme": "first", "add_prefix_space": false})",
       "pre_tokenizer.prepend_scheme is \"first\", but add_prefix_space is false"},
      {"pre_tokenizer", R"({"type": "Digits"})", "pre_tokenizer lacks the field \"individual_digits\""},
      {"pre_tokenizer", R"({"type": "Sequence", "pretokenizers": [{"type": "ByteLevel", "add_prefix_space": true},
         {"type": "ByteLevel", "add_prefix_space": true}]})",
       "pre_tokenizer.pretokenizers[1] is a second ByteLevel"},
      // post-processors
      {"post_processor", R"({"type": "Strange"})", "post_processor.type is \"Strange\", which is not supported"},
      {"post_processor", R"({"type": "TemplateProcessing", "single": [], "special_tokens": {}})",
       "post_processor.single has no place for the text"},
      {"post_processor",
       R"({"type": "TemplateProcessing", "single": [{"Sequence": {"id": "B"}}], "special_tokens": {}})",
       "post_processor.single[0] must be the one place of sequence A"},
      {"post_processor", R"({"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A"}},
         {"Sequence": {"id": "A"}}], "special_tokens": {}})",
       "post_processor.single[1] must be the one place of"},
      {"post_processor", R"({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}],
         "special_tokens": {}})",
       "post_processor.special_tokens lacks the field \"<s>\""},
      {"post_processor", R"({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}],
         "special_tokens": {"<s>": {"ids": [5]}}})",
       "post_processor.special_tokens.<s>.ids[0] is 5, an id that no token"},
      {"post_processor", R"({"type": "BertProcessing", "cls": ["<s>"], "sep": ["<s>", 0]})",
       "post_processor.cls has 1 elements, but must have more than 1"},
      // decoders
      {"decoder", R"({"type": "WordPiece"})", "decoder.type is \"WordPiece\", which is not supported"},
      {"decoder", R"({"type": "Sequence", "decoders": {}})", "decoder.decoders must be an array"},
      {"decoder", R"({"type": "Strip", "content": " ", "start": -1, "stop": 0})", "decoder.start is -1, but must be"},
      {"decoder", R"({"type": "Strip", "content": "", "start": 1, "stop": 0})",
       "decoder.content is \"\", but must be one"},
      {"decoder", R"({"type": "Replace", "pattern": {"Regex": "a"}, "content": ""})",
       "decoder.pattern must be {\"String\""},
      {"decoder", R"({"type": "Replace", "pattern": {"String": ""}, "content": ""})",
       "decoder.pattern.String is empty"},
      {"decoder", R"({"type": "Replace", "pattern": {"String": "a"}, "content": "aa"})",
       "decoder.content is longer than"},
  };
  for (const auto& one : cases) {
    Fields fields = kHealthy;
    fields[one.field] = one.value;
    const std::string sentence = refusal(file_of(fields));
    EXPECT_NE(sentence.find(one.fragment), std::string::npos)
        << one.field << " = " << one.value << "\nsays: " << sentence << "\nlacks: " << one.fragment;
  }
}

TEST(DamagedTokenizer, WholeFiles) {
  const std::string healthy = file_of(kHealthy);
  EXPECT_NE(refusal("").find("not valid JSON"), std::string::npos);
  EXPECT_NE(refusal("[]").find("must be an object"), std::string::npos);
  EXPECT_NE(refusal("{}").find("lacks the field \"model\""), std::string::npos);
  EXPECT_NE(refusal(R"({"model": null})").find("model must be an object"), std::string::npos);
  EXPECT_NE(refusal(R"({"model": {"vocab": {"\ud800": 1}, "merges": []}})").find("not valid JSON"), std::string::npos);
  EXPECT_NE(refusal("{\"model\": {\"vocab\": {\"\xff\": 1}, \"merges\": []}}").find("not valid JSON"),
            std::string::npos);
  for (size_t length = 1; length < healthy.size(); length += 3) {  // cut anywhere
    EXPECT_NE(refusal(healthy.substr(0, length)).find("not valid JSON"), std::string::npos) << length;
  }
  std::string nested = R"({"type": "NFC"})";
  for (int i = 0; i < 10000; ++i) nested = R"({"type": "Sequence", "normalizers": [)" + nested + "]}";
  Fields deep = kHealthy;
  deep["normalizer"] = nested;
  EXPECT_NE(refusal(file_of(deep)).find("nested deeper"), std::string::npos);

  const auto folder = temporary_folder();
  EXPECT_EQ(sentence_of([&] { Tokenizer::load(folder); }),
            fmt::format("{}: no such file; check the path", (folder / "tokenizer.json").string()));
}

// Files that are odd, but say clearly what they mean, work.
TEST(DamagedTokenizer, OddButUsable) {
  Fields fields = kHealthy;
  fields["model.vocab"] = R"({"a": 5, "b": 2147483646, "ab": 1000000000})";  // no memory by the size of an id
  fields["model.merges"] = R"([["a", "b"], ["a", "b"]])";
  fields["added_tokens"] = fields["post_processor"] = fields["decoder"] = fields["pre_tokenizer"] = "";
  EXPECT_EQ(refusal(file_of(fields)), "(no error)");
  fields["model.vocab"] = R"({"": 0, "a": 1, "aa": 2})";  // merges that can never happen, or never end if they did
  fields["model.merges"] = R"([["", ""], ["a", ""], ["", "a"], ["a", "a"]])";
  EXPECT_EQ(refusal(file_of(fields)), "(no error)");
  fields["model.unk_token"] = R"("")";
  EXPECT_EQ(refusal(file_of(fields)), "(no error)");
}

// The steps as a Sequence of any part of the file.
std::string sequence(const std::vector<std::string>& steps) {
  return fmt::format(
      R"({{"type": "Sequence", "normalizers": [{0}], "pretokenizers": [{0}], "processors": [{0}], "decoders": [{0}]}})",
      fmt::join(steps, ", "));
}

// Many steps take long to load, lengthen a text at each, or, as a decoder's call one another, fill the stack.
TEST(DamagedTokenizer, TooManySteps) {
  const std::pair<const char*, const char*> steps[] = {
      {"normalizer", R"({"type": "Lowercase"})"},
      {"pre_tokenizer", R"({"type": "Digits", "individual_digits": true})"},
      {"post_processor", R"({"type": "ByteLevel"})"},
      {"decoder", R"({"type": "Fuse"})"},
  };
  for (const auto& [part, step] : steps) {
    SCOPED_TRACE(part);
    Fields fields = kHealthy;
    std::vector<std::string> steps(15, step);
    steps.push_back(sequence({step}));
    fields[part] = sequence(steps);
    EXPECT_EQ(refusal(file_of(fields)), "(no error)");
    steps.push_back(sequence({step}));
    fields[part] = sequence(steps);
    EXPECT_NE(refusal(file_of(fields)).find("is one step more than the 16 supported; remove"), std::string::npos);
  }
}

// Within a lookaround \K is refused by PCRE2, but not where the lookaround gets there by a detour: then a match begins
// behind its end, and the search would go on from there for ever.
TEST(DamagedTokenizer, MatchesThatEndBeforeTheyBegin) {
  const char* const pattern = R"json({"Regex": "(?(DEFINE)(?<detour>.*\\K))(?=(?&detour))"})json";
  Fields fields = kHealthy;
  fields["pre_tokenizer"] = fmt::format(R"({{"type": "Split", "behavior": "Isolated", "pattern": {}}})", pattern);
  EXPECT_NE(refusal(file_of(fields)).find("pattern.Regex ends a match before it begins"), std::string::npos);
  fields = kHealthy;
  fields["normalizer"] = fmt::format(R"({{"type": "Replace", "content": "x", "pattern": {}}})", pattern);
  EXPECT_NE(refusal(file_of(fields)).find("pattern.Regex ends a match before it begins"), std::string::npos);

  fields["normalizer"] = R"({"type": "Replace", "content": "x", "pattern": {"Regex": "a\\Kb"}})";  // a \K in its place
  EXPECT_EQ(refusal(file_of(fields)), "(no error)");
}

// What loads may still be made to fill the memory or to run for ever.
TEST(DamagedTokenizer, ExplodingSteps) {
  Fields fields = kHealthy;
  fields["normalizer"] =
      sequence(std::vector<std::string>(10, R"({"type": "Replace", "pattern": {"String": "a"}, "content": "aaaa"})"));
  EXPECT_NE(refusal(file_of(fields)).find("normalizer makes a text more than 64 times as long"), std::string::npos);

  fields = kHealthy;
  fields["pre_tokenizer"] = R"({"type": "Split", "behavior": "Isolated", "pattern": {"Regex": "(a+)+[0-9]"}})";
  const auto folder = temporary_folder();
  write_file(folder / "tokenizer.json", file_of(fields));
  const Tokenizer tokenizer = Tokenizer::load(folder);
  const std::string sentence = sentence_of([&] { tokenizer.encode(std::string(100, 'a')); });
  EXPECT_NE(sentence.find("pre_tokenizer.pattern.Regex fails on this text (match limit exceeded)"), std::string::npos)
      << sentence;
}

}  // namespace
}  // namespace llm
