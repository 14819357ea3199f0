// The flags that all chapters share.
#pragma once

#include <filesystem>
#include <string>

#include "common/program/command_line.h"
#include "common/sampling/sampler.h"
#include "common/tensor/tensor.h"

namespace llm {

// The default of --max-tokens on --device simt, so that all chapters end within a minute.
inline constexpr int kSimtMaxTokens = 32;

struct Options {
  std::string model;  // a folder, or "random:NAME"; empty: an embedded stories model
  std::string prompt = "Once upon a time";
  std::filesystem::path prompt_file;  // instead of the prompt
  std::string tokens;                 // instead of the prompt: ids, with commas between
  int max_tokens = 200;
  SamplingParams sampling;
  bool ignore_eos = false;
  Device device = Device::cpu;
  DType dtype = DType::f32;
  int threads = 0;  // 0: one per core
  std::filesystem::path json, trace;
  std::filesystem::path reference;  // chapter 1's --json file for the same flags, so that it need not run again
  bool sweep = false;
};

// Throws InputError where a file can't be written to `path`, before minutes are spent on what goes into it. An empty
// path is none.
void check_output(const char* flag, const std::filesystem::path& path);

// Adds the shared flags, lets the caller add a chapter's own, and reads the command line. Also sets the number of
// OpenMP threads. Throws InputError or HelpRequested.
class OptionParser {
 public:
  OptionParser(const std::string& program, const std::string& description);
  CommandLine& command_line() { return command_line_; }
  Options parse(int argc, const char* const* argv);

 private:
  CommandLine command_line_;
  Options options_;
  std::string device_ = "cpu", dtype_ = "f32";
};

}  // namespace llm
