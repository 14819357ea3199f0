#include "chapters/07_continuous_batching/request_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>

#include "common/json/json.h"

namespace llm {

namespace {

constexpr std::string_view kFields[] = {
    "id",   "arrival_step", "prompt", "prompt_token_ids", "max_tokens", "temperature", "top_k",       "top_p",
    "seed", "priority",     "stop",   "stop_token_ids",   "ignore_eos", "salt",        "cancel_step", "breakpoints"};

constexpr int64_t kMaxTokens = 1 << 20, kMaxStep = int64_t{1} << 40;

void expect_known_fields(const Json& line) {
  line.for_each_item([&](const std::string& key, const Json&) {
    if (std::ranges::find(kFields, key) != std::end(kFields)) return;
    fail_input("{}: \"{}\" is no field of a request; the fields are {}", line.where(), key, fmt::join(kFields, ", "));
  });
}

std::vector<int32_t> read_token_ids(const Json& list, int vocab_size) {
  std::vector<int32_t> ids;
  list.for_each([&](const Json& id) { ids.push_back(static_cast<int32_t>(id.integer(0, vocab_size - 1))); });
  return ids;
}

std::vector<int32_t> read_prompt(const Json& line, const LoadedModel& model) {
  const bool text = line.has("prompt");
  if (text == line.has("prompt_token_ids")) {
    fail_input("{}: has {} of the fields \"prompt\" and \"prompt_token_ids\"; give one of them", line.where(),
               text ? "both" : "none");
  }
  const Json prompt = line.at(text ? "prompt" : "prompt_token_ids");
  std::vector<int32_t> ids;
  if (!text) {
    ids = read_token_ids(prompt, model.config().vocab_size);
  } else if (model.tokenizer) {
    ids = model.tokenizer->encode(prompt.string());
    check_token_ids(model, ids, prompt.where());
  } else {
    prompt.fail(fmt::format("is text, but {} has no tokenizer; give \"prompt_token_ids\"", model.name));
  }
  if (ids.empty()) prompt.fail("is empty; give at least one token");
  return ids;
}

std::vector<std::string> read_stop(const Json& stop, const LoadedModel& model) {
  if (!model.tokenizer) stop.fail(fmt::format("is text, but {} has no tokenizer; give \"stop_token_ids\"", model.name));
  std::vector<std::string> strings;
  const auto add = [&](const Json& string) {
    strings.push_back(string.string());
    if (strings.back().empty()) string.fail("is empty; give a string of at least one character");
  };
  if (stop.is_string()) {
    add(stop);
  } else {
    stop.for_each(add);
  }
  return strings;
}

std::vector<int32_t> read_breakpoints(const Json& list, int64_t prompt_len) {
  if (list.size() > kMaxBreakpoints) {
    list.fail(fmt::format("has {} of them, but at most {} are allowed; leave some out", list.size(), kMaxBreakpoints));
  }
  std::vector<int32_t> lengths;
  list.for_each([&](const Json& length) { lengths.push_back(static_cast<int32_t>(length.integer(1, prompt_len))); });
  return lengths;
}

Request read_request(const Json& line, const LoadedModel& model, const GenerationParams& defaults) {
  if (!line.is_object())
    fail_input("{}: is no object; give one request a line, such as {{\"id\": \"a\", \"prompt\": \"Once\"}}",
               line.where());
  expect_known_fields(line);
  Request request{line.at("id").string(), read_prompt(line, model), defaults};
  if (request.id.empty()) line.at("id").fail("is empty; give each request a name of its own");
  GenerationParams& params = request.params;
  const auto read = [&](const char* key, auto&& set) {
    if (line.has(key)) set(line.at(key));
  };
  read("max_tokens", [&](const Json& f) { params.max_tokens = static_cast<int>(f.integer(1, kMaxTokens)); });
  read("temperature", [&](const Json& f) { params.sampling.temperature = f.number(0.0, 100.0); });
  read("top_k", [&](const Json& f) { params.sampling.top_k = static_cast<int32_t>(f.integer(0, kMaxTokens)); });
  read("top_p", [&](const Json& f) { params.sampling.top_p = f.number(0.0, 1.0); });
  read("seed", [&](const Json& f) { params.sampling.seed = static_cast<uint64_t>(f.integer(0)); });
  read("ignore_eos", [&](const Json& f) { params.ignore_eos = f.boolean(); });
  read("stop", [&](const Json& f) { request.stop = read_stop(f, model); });
  read("stop_token_ids", [&](const Json& f) { params.stop_token_ids = read_token_ids(f, model.config().vocab_size); });
  read("priority", [&](const Json& f) { request.priority = static_cast<int32_t>(f.integer(INT32_MIN, INT32_MAX)); });
  read("arrival_step", [&](const Json& f) { request.arrival_step = f.integer(0, kMaxStep); });
  read("cancel_step", [&](const Json& f) { request.cancel_step = f.integer(request.arrival_step, kMaxStep); });
  read("salt", [&](const Json& f) { request.salt = f.string(); });
  read("breakpoints", [&](const Json& f) { request.breakpoints = read_breakpoints(f, std::ssize(request.prompt)); });
  return request;
}

}  // namespace

std::vector<Request> read_requests(const std::filesystem::path& path, const LoadedModel& model,
                                   const GenerationParams& defaults) {
  const std::string text = read_file(path);
  std::vector<Request> requests;
  std::map<std::string, int> line_of;  // by id
  size_t begin = 0;
  for (int number = 1; begin < text.size(); ++number) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string where = fmt::format("{}, line {}", path.string(), number);
    requests.push_back(read_request(Json::parse(line, where), model, defaults));
    const auto [first, is_new] = line_of.try_emplace(requests.back().id, number);
    if (!is_new) {
      fail_input("{}: id is \"{}\", as in line {}; give each request a name of its own", where, first->first,
                 first->second);
    }
  }
  if (requests.empty()) fail_input("{}: has no request; give at least one line", path.string());
  return requests;
}

}  // namespace llm
