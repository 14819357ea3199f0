#include "common/json/json.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "common/error.h"
#include "common/utf8.h"

namespace llm {

using Node = nlohmann::ordered_json;

struct JsonDocument {
  std::string name;
  Node root;
};

namespace {

constexpr size_t kMaxDepth = 64;  // deeper than any file we read, and shallow enough to walk by recursion

Node& node_of(void* node) { return *static_cast<Node*>(node); }

// The path of `target` below `node`, found by its address: paths are needed for errors alone, so none is kept.
std::optional<std::string> find_path(const Node& node, const Node* target) {
  if (&node == target) return "";
  if (node.is_object()) {
    for (const auto& [key, child] : node.items()) {
      if (const auto rest = find_path(child, target)) {
        return key + (rest->empty() || rest->front() == '[' ? "" : ".") + *rest;
      }
    }
  } else if (node.is_array()) {
    for (size_t i = 0; i < node.size(); ++i) {
      if (const auto rest = find_path(node[i], target)) {
        return fmt::format("[{}]{}{}", i, rest->empty() || rest->front() == '[' ? "" : ".", *rest);
      }
    }
  }
  return std::nullopt;
}

// What a value looks like in a sentence.
std::string shown(const Node& node) {
  if (node.is_object()) return "an object";
  if (node.is_array()) return "an array";
  std::string text = node.dump(-1, ' ', false, Node::error_handler_t::replace);
  if (text.size() <= 60) return text;
  size_t end = 57;
  while (continues_character(text[end])) --end;
  return text.substr(0, end) + "...";
}

// Builds the tree from the parser's events. nlohmann's own builder looks every new key up among the earlier ones, which
// takes a minute for a vocabulary of 128,000 tokens, and lets the last of several equal keys win without a word.
class TreeBuilder : public nlohmann::json_sax<Node> {
 public:
  explicit TreeBuilder(JsonDocument& document) : document_(document) {}

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(int64_t value) override { return add(value); }
  bool number_unsigned(uint64_t value) override { return add(value); }
  bool number_float(double value, const std::string&) override { return add(value); }
  bool string(std::string& value) override { return add(std::move(value)); }
  bool binary(Node::binary_t&) override { return false; }  // only in formats other than JSON
  bool key(std::string& key) override {
    key_ = std::move(key);
    return true;
  }
  bool start_object(size_t) override { return open(Node::object()); }
  bool start_array(size_t) override { return open(Node::array()); }
  bool end_array() override { return close(); }
  bool end_object() override {
    std::vector<std::string_view> keys;
    for (const auto& [key, value] : open_.back()->get_ref<const Node::object_t&>()) keys.push_back(key);
    std::sort(keys.begin(), keys.end());
    const auto twice = std::adjacent_find(keys.begin(), keys.end());
    if (twice != keys.end()) {
      fail_input("{}: \"{}\" stands twice in one object; remove one of the two", document_.name, *twice);
    }
    return close();
  }
  bool parse_error(size_t, const std::string&, const Node::exception& error) override {
    std::string reason = error.what();  // "[json.exception.parse_error.101] parse error at line 1, ..."
    if (const size_t end = reason.find("] "); end != std::string::npos) reason = reason.substr(end + 2);
    fail_input("{}: not valid JSON ({}); mend or replace the file", document_.name, reason);
  }

 private:
  bool add(Node value) {
    place(std::move(value));
    return true;
  }
  bool open(Node empty) {
    if (open_.size() == kMaxDepth) {
      fail_input("{}: nested deeper than {} levels; give a file of the documented form", document_.name, kMaxDepth);
    }
    open_.push_back(&place(std::move(empty)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }
  // Addresses stay good: a container gets no new elements while one of its elements is open.
  Node& place(Node value) {
    if (open_.empty()) return document_.root = std::move(value);
    if (open_.back()->is_array()) return open_.back()->get_ref<Node::array_t&>().emplace_back(std::move(value));
    return open_.back()->get_ref<Node::object_t&>().emplace_back(std::move(key_), std::move(value)).second;
  }

  JsonDocument& document_;
  std::vector<Node*> open_;  // the containers around the place that is being read, outermost first
  std::string key_;          // of the object's member that comes next
};

}  // namespace

Json Json::parse(std::string_view text, const std::string& name) {
  auto document = std::make_shared<JsonDocument>();
  document->name = name;
  TreeBuilder builder(*document);
  Node::sax_parse(text, &builder);
  void* root = &document->root;
  return {std::move(document), root};
}

Json Json::parse_file(const std::filesystem::path& path) { return parse(read_file(path), path.string()); }

bool Json::is_null() const { return node_of(node_).is_null(); }
bool Json::is_object() const { return node_of(node_).is_object(); }
bool Json::is_array() const { return node_of(node_).is_array(); }
bool Json::is_string() const { return node_of(node_).is_string(); }
bool Json::is_number() const { return node_of(node_).is_number(); }
bool Json::is_bool() const { return node_of(node_).is_boolean(); }

bool Json::has(std::string_view key) const {
  if (!is_object()) fail("must be an object");
  const auto found = node_of(node_).find(key);
  return found != node_of(node_).end() && !found->is_null();
}

Json Json::at(std::string_view key) const {
  if (!is_object()) fail("must be an object");
  const auto found = node_of(node_).find(key);
  if (found == node_of(node_).end()) fail(fmt::format("lacks the field \"{}\"; add it", key));
  return {document_, &*found};
}

Json Json::at(size_t index) const {
  if (!is_array()) fail("must be an array");
  if (index >= size()) fail(fmt::format("has {} elements, but must have more than {}", size(), index));
  return {document_, &node_of(node_)[index]};
}

size_t Json::size() const {
  if (!is_array() && !is_object()) fail("must be an array or an object");
  return node_of(node_).size();
}

void Json::for_each(const std::function<void(Json)>& visit) const {
  if (!is_array()) fail("must be an array");
  for (Node& element : node_of(node_)) visit({document_, &element});
}

void Json::for_each_item(const std::function<void(const std::string&, Json)>& visit) const {
  if (!is_object()) fail("must be an object");
  for (const auto& item : node_of(node_).items()) visit(item.key(), {document_, &item.value()});
}

std::string Json::string() const {
  if (!is_string()) fail(fmt::format("is {}, but must be a string", shown(node_of(node_))));
  return node_of(node_).get<std::string>();
}

bool Json::boolean() const {
  if (!is_bool()) fail(fmt::format("is {}, but must be true or false", shown(node_of(node_))));
  return node_of(node_).get<bool>();
}

double Json::number(double min, double max) const {
  const double value = is_number() ? node_of(node_).get<double>() : NAN;
  if (!(value >= min && value <= max)) {
    const bool bounded = min > std::numeric_limits<double>::lowest() || max < std::numeric_limits<double>::max();
    fail(fmt::format("is {}, but must be a number{}", shown(node_of(node_)),
                     bounded ? fmt::format(" from {:g} to {:g}", min, max) : ""));
  }
  return value;
}

int64_t Json::integer(int64_t min, int64_t max) const {
  const Node& node = node_of(node_);
  const bool fits = node.is_number_integer() &&
                    !(node.is_number_unsigned() && node.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX));
  const int64_t value = fits ? node.get<int64_t>() : 0;
  if (!fits || value < min || value > max) {
    const bool bounded = min > std::numeric_limits<int64_t>::min() || max < std::numeric_limits<int64_t>::max();
    fail(fmt::format("is {}, but must be an integer{}", shown(node),
                     bounded ? fmt::format(" from {} to {}", min, max) : ""));
  }
  return value;
}

std::string Json::where() const {
  const std::string path = find_path(document_->root, &node_of(node_)).value_or("");
  return path.empty() ? document_->name : fmt::format("{}: {}", document_->name, path);
}

void Json::fail(std::string_view sentence) const { fail_input("{} {}", where(), sentence); }

Json Json::object() {
  auto document = std::make_shared<JsonDocument>(JsonDocument{"", Node::object()});
  void* root = &document->root;
  return {std::move(document), root};
}

Json Json::array() {
  auto document = std::make_shared<JsonDocument>(JsonDocument{"", Node::array()});
  void* root = &document->root;
  return {std::move(document), root};
}

// Assigning through operator[] keeps a key's first place.
Json& Json::set(std::string_view key, const Json& value) {
  node_of(node_)[std::string(key)] = node_of(value.node_);
  return *this;
}
Json& Json::set(std::string_view key, std::string_view value) {
  node_of(node_)[std::string(key)] = value;
  return *this;
}
Json& Json::set(std::string_view key, bool value) {
  node_of(node_)[std::string(key)] = value;
  return *this;
}
Json& Json::set(std::string_view key, int64_t value) {
  node_of(node_)[std::string(key)] = value;
  return *this;
}
Json& Json::set(std::string_view key, double value) {
  node_of(node_)[std::string(key)] = std::isfinite(value) ? Node(value) : Node(nullptr);
  return *this;
}
Json& Json::set_null(std::string_view key) {
  node_of(node_)[std::string(key)] = nullptr;
  return *this;
}
Json& Json::push(const Json& value) {
  node_of(node_).push_back(node_of(value.node_));
  return *this;
}
Json& Json::push(std::string_view value) {
  node_of(node_).push_back(value);
  return *this;
}
Json& Json::push(int64_t value) {
  node_of(node_).push_back(value);
  return *this;
}
Json& Json::push(double value) {
  node_of(node_).push_back(std::isfinite(value) ? Node(value) : Node(nullptr));
  return *this;
}

Json Json::integers(const std::vector<int32_t>& values) {
  Json list = array();
  for (const int32_t value : values) list.push(static_cast<int64_t>(value));
  return list;
}

std::string Json::dump(int indent) const {
  return node_of(node_).dump(indent, ' ', false, Node::error_handler_t::replace);
}

void write_file(const std::filesystem::path& path, std::string_view text) {
  std::error_code error;
  // A device such as /dev/null or a pipe is written to; another file in its place would be a surprise to all.
  const bool is_device = std::filesystem::is_other(std::filesystem::status(path, error));
  std::filesystem::path written = path;
  if (!is_device) written += fmt::format(".{}.part", getpid());
  std::ofstream file(written, std::ios::binary);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  file.close();
  error.clear();
  if (file && !is_device) std::filesystem::rename(written, path, error);
  if (!file || error) {
    std::error_code ignored;
    if (!is_device) std::filesystem::remove(written, ignored);
    fail_input("{}: can't be written; give a file in a folder that exists and may be written to", path.string());
  }
}

std::string read_file(const std::filesystem::path& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) fail_input("{}: no such file; check the path", path.string());
  if (std::filesystem::is_directory(status)) fail_input("{}: is a folder, but must be a file", path.string());
  std::ifstream file(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file) fail_input("{}: can't be read; check its permissions", path.string());
  return text;
}

}  // namespace llm
