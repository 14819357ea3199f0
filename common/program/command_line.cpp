#include "common/program/command_line.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>

#include "common/error.h"

namespace llm {

struct CommandLine::Parser {
  CLI::App app;
};

namespace {

// Every value is taken as text and read here, so that all mistakes sound alike. An empty one is a mistake too: mostly a
// variable of a script that was never set.
CLI::Option* add_text(CLI::App& app, const std::string& flag, const std::string& type, const std::string& help,
                      const std::string& shown_default, const std::function<void(const std::string&)>& take) {
  const auto take_text = [=](const std::string& text) {
    if (text.empty()) fail_input("{} is empty; give it a value or leave it out", flag);
    take(text);
  };
  CLI::Option* option = app.add_option_function<std::string>(flag, take_text, help);
  option->type_name(shown_default.empty() ? type : fmt::format("{} [{}]", type, shown_default));
  return option;
}

template <class T>
T read_number(const std::string& flag, const std::string& text, T min, T max, const char* kind) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc{} && end == text.data() + text.size();
  if (!whole || !(value >= min && value <= max)) {
    fail_input("{} is \"{}\", but must be {} from {} to {}", flag, text, kind, min, max);
  }
  return value;
}

}  // namespace

CommandLine::CommandLine(const std::string& program, const std::string& description)
    : parser_(std::make_unique<Parser>()) {
  parser_->app.description(description);
  parser_->app.name(program);
  parser_->app.get_formatter()->column_width(34);
}

CommandLine::~CommandLine() = default;

void CommandLine::add(const std::string& flag, int* value, int min, int max, const std::string& help) {
  add_text(parser_->app, flag, "N", help, std::to_string(*value),
           [=](const std::string& text) { *value = read_number<int>(flag, text, min, max, "an integer"); });
}

void CommandLine::add(const std::string& flag, double* value, double min, double max, const std::string& help) {
  add_text(parser_->app, flag, "X", help, fmt::format("{}", *value),
           [=](const std::string& text) { *value = read_number<double>(flag, text, min, max, "a number"); });
}

void CommandLine::add(const std::string& flag, uint64_t* value, const std::string& help) {
  add_text(parser_->app, flag, "N", help, std::to_string(*value),
           [=](const std::string& text) { *value = read_number<uint64_t>(flag, text, 0, INT64_MAX, "an integer"); });
}

void CommandLine::add(const std::string& flag, std::string* value, const std::string& help) {
  add_text(parser_->app, flag, "TEXT", help, *value, [=](const std::string& text) { *value = text; });
}

void CommandLine::add(const std::string& flag, std::filesystem::path* value, const std::string& help) {
  add_text(parser_->app, flag, "FILE", help, value->string(), [=](const std::string& text) { *value = text; });
}

void CommandLine::add(const std::string& flag, bool* value, const std::string& help) {
  parser_->app.add_flag(flag, *value, help);
}

void CommandLine::add(const std::string& flag, std::string* value, const std::vector<std::string>& choices,
                      const std::string& help) {
  const std::string list = fmt::format("{}", fmt::join(choices, "|"));
  add_text(parser_->app, flag, list, help, *value, [=](const std::string& text) {
    if (std::find(choices.begin(), choices.end(), text) == choices.end()) {
      fail_input("{} is \"{}\", but must be one of {}", flag, text, fmt::join(choices, ", "));
    }
    *value = text;
  });
}

bool CommandLine::given(const std::string& flag) const { return parser_->app.get_option(flag)->count() > 0; }

void CommandLine::parse(int argc, const char* const* argv) {
  try {
    parser_->app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    throw HelpRequested{parser_->app.help()};
  } catch (const CLI::ParseError& error) {
    std::string reason = error.what();
    while (!reason.empty() && (reason.back() == '\n' || reason.back() == '.')) reason.pop_back();
    fail_input("{}; --help lists the flags", reason);
  }
}

}  // namespace llm
