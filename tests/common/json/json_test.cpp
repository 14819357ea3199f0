#include "common/json/json.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <filesystem>

#include "common/error.h"
#include "tests/support/sentence_of.h"
#include "tests/support/temporary_folder.h"

namespace llm {
namespace {

Json parse(std::string_view text) { return Json::parse(text, "f.json"); }

TEST(Json, ReadsEveryKind) {
  const Json json = parse(R"({"n": null, "b": true, "i": -3, "d": 0.5, "s": "é", "a": [1, 2], "o": {"x": 1}})");
  EXPECT_TRUE(json.is_object());
  EXPECT_TRUE(json.at("n").is_null());
  EXPECT_FALSE(json.has("n"));
  EXPECT_FALSE(json.has("absent"));
  EXPECT_TRUE(json.has("b"));
  EXPECT_TRUE(json.at("b").boolean());
  EXPECT_EQ(json.at("i").integer(), -3);
  EXPECT_EQ(json.at("i").number(), -3.0);
  EXPECT_EQ(json.at("d").number(), 0.5);
  EXPECT_EQ(json.at("s").string(), "é");
  EXPECT_EQ(json.at("a").size(), 2u);
  EXPECT_EQ(json.at("a").at(1).integer(), 2);
  EXPECT_EQ(json.at("o").at("x").integer(), 1);
  int64_t sum = 0;
  json.at("a").for_each([&](const Json& element) { sum += element.integer(); });
  EXPECT_EQ(sum, 3);
  std::string keys;
  json.for_each_item([&](const std::string& key, const Json&) { keys += key; });
  EXPECT_EQ(keys, "nbidsao") << "in the order of the file";
}

TEST(Json, AValueKeepsItsDocumentAlive) {
  Json inner = [] { return parse(R"({"a": {"b": [7]}})").at("a").at("b").at(size_t{0}); }();
  EXPECT_EQ(inner.integer(), 7);
  EXPECT_EQ(inner.where(), "f.json: a.b[0]");
}

TEST(Json, CutsLongTextsBetweenCharacters) {
  for (const size_t shift : {0, 1, 2}) {
    std::string euros(shift, '-');
    for (int i = 0; i < 30; ++i) euros += "€";
    const std::string sentence = sentence_of([&] { parse('"' + euros + '"').number(); });
    EXPECT_NE(sentence.find("€..., but must be a number"), std::string::npos) << sentence;
  }
}

TEST(Json, NamesThePlaceOfAMistake) {
  const Json json = parse(R"({"rope": {"factor": "8"}, "list": [1, [2, 3.5]], "big": 18446744073709551615})");
  EXPECT_SENTENCE(json.at("rope").at("factor").number(1, 9),
                  "f.json: rope.factor is \"8\", but must be a number from 1 to 9");
  EXPECT_SENTENCE(json.at("list").at(1).at(1).integer(), "f.json: list[1][1] is 3.5, but must be an integer");
  EXPECT_SENTENCE(json.at("list").at(size_t{0}).integer(2, 5),
                  "f.json: list[0] is 1, but must be an integer from 2 to 5");
  EXPECT_SENTENCE(json.at("big").integer(), "f.json: big is 18446744073709551615, but must be an integer");
  EXPECT_SENTENCE(json.at("list").string(), "f.json: list is an array, but must be a string");
  EXPECT_SENTENCE(json.at("rope").boolean(), "f.json: rope is an object, but must be true or false");
  EXPECT_SENTENCE(json.at("depth"), "f.json lacks the field \"depth\"; add it");
  EXPECT_SENTENCE(json.at("list").at("x"), "f.json: list must be an object");
  EXPECT_SENTENCE(json.at("list").has("x"), "f.json: list must be an object");
  EXPECT_SENTENCE(json.at("rope").at(size_t{0}), "f.json: rope must be an array");
  EXPECT_SENTENCE(json.at("list").at(2), "f.json: list has 2 elements, but must have more than 2");
  EXPECT_SENTENCE(json.at("big").size(), "f.json: big must be an array or an object");
  EXPECT_SENTENCE(json.at("rope").for_each([](const Json&) {}), "f.json: rope must be an array");
  EXPECT_SENTENCE(json.at("list").for_each_item([](const std::string&, const Json&) {}),
                  "f.json: list must be an object");
}

TEST(Json, RefusesWhatIsNotJson) {
  const std::string open(10000, '['), deep = std::string(65, '[') + std::string(65, ']');
  const struct {
    std::string text, fragment;
  } cases[] = {
      {"", "not valid JSON"},
      {"{", "not valid JSON"},
      {"{\"a\": 1,}", "not valid JSON"},
      {"{\"a\": 1} x", "not valid JSON"},
      {"[NaN]", "not valid JSON"},
      {"[1e999]", "number overflow"},
      {"\"\xff\"", "not valid JSON"},
      {"\"\\ud800\"", "not valid JSON"},
      {open, "nested deeper than 64 levels"},
      {deep, "nested deeper than 64 levels"},
      {R"({"a": {"k": 1, "j": 2, "k": 1}})", "\"k\" stands twice in one object"},
  };
  for (const auto& [text, fragment] : cases) {
    const std::string sentence = sentence_of([&] { parse(text); });
    EXPECT_TRUE(sentence.starts_with("f.json: ")) << sentence;
    EXPECT_NE(sentence.find(fragment), std::string::npos) << sentence;
  }
  EXPECT_NO_THROW(parse(std::string(64, '[') + std::string(64, ']')));
  EXPECT_NO_THROW(parse(R"([{"k": 1}, {"k": 2}])")) << "the same key in two objects";
}

TEST(Json, ALargeObjectTakesNoQuadraticTime) {
  std::string text = "{";
  for (int i = 0; i < 300000; ++i) text += fmt::format("{}\"t{}\":{}", i == 0 ? "" : ",", i, i);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(parse(text + "}").size(), 300000u);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));  // minutes, if it were
}

TEST(Json, WritesWhatItReads) {
  Json json = Json::object();
  json.set("z", 1).set("a", true).set("text", "x\"\n").set("half", 0.5).set("none", std::nan(""));
  json.set("list", Json::integers({1, -2}).push("s").push(0.25).push(INFINITY)).set_null("nothing");
  json.set("inner", Json::object().set("k", int64_t{1} << 40)).set("z", 2);
  EXPECT_EQ(json.dump(-1), R"({"z":2,"a":true,"text":"x\"\n","half":0.5,"none":null,"list":[1,-2,"s",0.25,null],)"
                           R"("nothing":null,"inner":{"k":1099511627776}})");
  EXPECT_EQ(parse(json.dump()).dump(), json.dump());
  EXPECT_EQ(Json::array().push("\xff\xfe!").dump(-1), "[\"\uFFFD\uFFFD!\"]");
}

TEST(Json, FilesAreReadWholeOrRefused) {
  const auto folder = temporary_folder();
  write_file(folder / "a.json", "{\"a\": [1, \"x\"]}");
  EXPECT_EQ(read_file(folder / "a.json"), "{\"a\": [1, \"x\"]}");
  const Json json = Json::parse_file(folder / "a.json");
  EXPECT_SENTENCE(json.at("a").at(1).integer(),
                  (folder / "a.json").string() + ": a[1] is \"x\", but must be an integer");
  EXPECT_SENTENCE(read_file(folder / "b.json"), (folder / "b.json").string() + ": no such file; check the path");
  EXPECT_SENTENCE(read_file(folder), folder.string() + ": is a folder, but must be a file");
}

TEST(Json, FilesAreWrittenWholeOrNotAtAll) {
  const auto folder = temporary_folder();
  write_file(folder / "a", "old and longer");
  write_file(folder / "a", "new");
  EXPECT_EQ(read_file(folder / "a"), "new");
  std::filesystem::create_directory(folder / "taken");
  for (const auto& path : {folder / "absent" / "a", folder / "taken"}) {
    EXPECT_NE(sentence_of([&] { write_file(path, "x"); }).find(path.string() + ": can't be written"),
              std::string::npos);
  }
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) files += entry.is_regular_file();
  EXPECT_EQ(files, 1u) << "a temporary file was left behind";
}

}  // namespace
}  // namespace llm
