// JSON that knows where it came from: every mistake is reported with its file and the path of the field.
// The only door to nlohmann-json, whose header is too heavy to be included in more than one file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace llm {

struct JsonDocument;  // the parsed tree and the name of its file

// A value in a JSON document. Cheap to copy; all copies see the same document and keep it alive.
// Every reader throws InputError with a sentence such as
//   "models/x/config.json: hidden_size is -3, but it must be an integer from 1 to 1048576"
class Json {
 public:
  // ---- reading ----
  static Json parse_file(const std::filesystem::path& path);
  // `name` stands in error messages where a file's name would.
  static Json parse(std::string_view text, const std::string& name);

  bool is_null() const;
  bool is_object() const;
  bool is_array() const;
  bool is_string() const;
  bool is_number() const;
  bool is_bool() const;

  bool has(std::string_view key) const;                                 // an object with this key, its value not null
  Json at(std::string_view key) const;                                  // the key must be there
  Json at(size_t index) const;                                          // an array's element
  size_t size() const;                                                  // of an array or object
  void for_each(const std::function<void(Json element)>& visit) const;  // an array's
  void for_each_item(const std::function<void(const std::string& key, Json value)>& visit) const;  // an object's

  std::string string() const;
  bool boolean() const;
  double number(double min = std::numeric_limits<double>::lowest(),
                double max = std::numeric_limits<double>::max()) const;
  int64_t integer(int64_t min = std::numeric_limits<int64_t>::min(),
                  int64_t max = std::numeric_limits<int64_t>::max()) const;

  // The field's place for a sentence of one's own: "models/x/config.json: rope_scaling.factor".
  std::string where() const;
  // Throws InputError: "<where()> <sentence>".
  [[noreturn]] void fail(std::string_view sentence) const;

  // ---- writing ----
  static Json object();
  static Json array();
  Json& set(std::string_view key, const Json& value);  // keeps the order in which keys were first set
  Json& set(std::string_view key, std::string_view value);
  Json& set(std::string_view key, const char* value) { return set(key, std::string_view(value)); }
  Json& set(std::string_view key, bool value);
  Json& set(std::string_view key, int value) { return set(key, static_cast<int64_t>(value)); }
  Json& set(std::string_view key, int64_t value);
  Json& set(std::string_view key, double value);  // NaN and infinities become null: "not measured"
  Json& set_null(std::string_view key);
  Json& push(const Json& value);
  Json& push(std::string_view value);
  Json& push(int64_t value);
  Json& push(double value);
  static Json integers(const std::vector<int32_t>& values);

  // `indent` < 0: one line. Invalid UTF-8 in strings is replaced by U+FFFD.
  std::string dump(int indent = 2) const;

 private:
  Json(std::shared_ptr<JsonDocument> document, void* node) : document_(std::move(document)), node_(node) {}
  std::shared_ptr<JsonDocument> document_;
  void* node_;  // an nlohmann::ordered_json inside the document
};

// Writes the whole file or nothing: to a temporary file beside it, then renamed. What is no file, such as /dev/stdout,
// is written to. Throws InputError when it can't.
void write_file(const std::filesystem::path& path, std::string_view text);

// The whole file, or InputError with the reason ("no such file", "is a folder", ...).
std::string read_file(const std::filesystem::path& path);

}  // namespace llm
