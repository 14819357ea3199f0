// A program's flags. The only door to CLI11, whose header is too heavy to be included in more than one file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace llm {

// Each flag is bound to a variable, which holds its default. Mistakes become one InputError sentence that names the
// flag and what it accepts. The variables must outlive `parse`.
class CommandLine {
 public:
  CommandLine(const std::string& program, const std::string& description);
  ~CommandLine();

  void add(const std::string& flag, int* value, int min, int max, const std::string& help);
  void add(const std::string& flag, double* value, double min, double max, const std::string& help);
  void add(const std::string& flag, uint64_t* value, const std::string& help);  // up to 2^63 - 1, as JSON holds it
  void add(const std::string& flag, std::string* value, const std::string& help);
  void add(const std::string& flag, std::filesystem::path* value, const std::string& help);
  void add(const std::string& flag, bool* value, const std::string& help);  // no argument: sets it to true
  // One of `choices`.
  void add(const std::string& flag, std::string* value, const std::vector<std::string>& choices,
           const std::string& help);

  // Whether the flag stood on the command line.
  bool given(const std::string& flag) const;

  // Throws InputError, or HelpRequested for --help.
  void parse(int argc, const char* const* argv);

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

// Thrown for --help: the text to print before leaving with success.
struct HelpRequested {
  std::string text;
};

}  // namespace llm
