#include "common/program/options.h"

#include <omp.h>
#include <unistd.h>

#include <cstdlib>

#include "common/error.h"

namespace llm {

void check_output(const char* flag, const std::filesystem::path& path) {
  if (path.empty()) return;
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  std::error_code error;
  if (!std::filesystem::is_directory(folder, error)) {
    fail_input("{} is {}, but there is no folder {}; make it first", flag, path.string(), folder.string());
  }
  if (std::filesystem::is_directory(path, error)) fail_input("{} is {}, a folder; name a file", flag, path.string());
  if (std::filesystem::is_other(std::filesystem::status(path, error))) return;  // such as /dev/null
  std::string probe = path.string() + ".XXXXXX";
  const int file = mkstemp(probe.data());
  if (file == -1) {
    fail_input("{} is {}, but nothing can be written to the folder {}; name another", flag, path.string(),
               folder.string());
  }
  close(file);
  unlink(probe.c_str());
}

OptionParser::OptionParser(const std::string& program, const std::string& description)
    : command_line_(program, description) {
  Options& o = options_;
  CommandLine& line = command_line_;
  line.add(
      "--model", &o.model,
      "a Hugging Face folder, or random:NAME for random weights of a real model's shape; left out: models/stories, "
      "on simt models/stories-draft");
  line.add("--prompt", &o.prompt, "the text to go on from");
  line.add("--prompt-file", &o.prompt_file, "a file with the text to go on from");
  line.add("--tokens", &o.tokens, "token ids to go on from, such as 0,412,88");
  line.add("--max-tokens", &o.max_tokens, 1, 1 << 20,
           fmt::format("how many tokens to generate at most; left out: {} on simt", kSimtMaxTokens));
  line.add("--temperature", &o.sampling.temperature, 0.0, 100.0, "0: always the most likely token");
  line.add("--top-k", &o.sampling.top_k, 0, 1 << 20, "sample from the k most likely tokens; 0: all");
  line.add("--top-p", &o.sampling.top_p, 0.0, 1.0, "sample from the fewest tokens that reach this probability");
  line.add("--min-p", &o.sampling.min_p, 0.0, 1.0, "drop tokens less likely than this share of the likeliest");
  line.add("--seed", &o.sampling.seed, "seed of the random numbers");
  line.add("--ignore-eos", &o.ignore_eos, "go on after the end-of-text token");
  line.add("--device", &device_, {"cpu", "simt", "cuda"},
           "where the model runs: simt is the GPU's kernels on a CPU, to be looked into, and slow");
  line.add("--dtype", &dtype_, {"f32", "bf16"}, "number format of weights, keys and values");
  line.add("--threads", &o.threads, 0, 1024, "CPU threads; 0: one per core");
  line.add("--json", &o.json, "write the results to this file");
  line.add("--trace", &o.trace, "write a Chrome trace of the run to this file");
  line.add("--reference", &o.reference, "chapter 1's --json file for the same flags, to save running it again");
  line.add("--sweep", &o.sweep, "also run the chapter's long comparison");
}

Options OptionParser::parse(int argc, const char* const* argv) {
  command_line_.parse(argc, argv);
  const int prompts =
      command_line_.given("--prompt") + command_line_.given("--prompt-file") + command_line_.given("--tokens");
  if (prompts > 1) fail_input("--prompt, --prompt-file and --tokens exclude each other; give one of them");
  check_output("--json", options_.json);
  check_output("--trace", options_.trace);
  options_.device = device_ == "cpu" ? Device::cpu : device_ == "simt" ? Device::simt : Device::cuda;
  if (options_.device == Device::simt && !command_line_.given("--max-tokens")) options_.max_tokens = kSimtMaxTokens;
  options_.dtype = dtype_ == "f32" ? DType::f32 : DType::bf16;
  if (options_.threads == 0) options_.threads = omp_get_num_procs();
  omp_set_num_threads(options_.threads);
  return options_;
}

}  // namespace llm
