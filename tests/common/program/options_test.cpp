#include "common/program/options.h"

#include <gtest/gtest.h>
#include <omp.h>

#include "common/json/json.h"
#include "tests/support/sentence_of.h"
#include "tests/support/temporary_folder.h"

namespace llm {
namespace {

Options parse(const std::vector<std::string>& arguments) {
  std::vector<const char*> argv = {"prog"};
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  return OptionParser("prog", "A chapter.").parse(static_cast<int>(argv.size()), argv.data());
}

std::string refusal(const std::vector<std::string>& arguments) {
  return sentence_of([&] { parse(arguments); });
}

TEST(Options, Defaults) {
  const Options options = parse({});
  EXPECT_EQ(options.model, "");
  EXPECT_EQ(options.prompt, "Once upon a time");
  EXPECT_EQ(options.max_tokens, 200);
  EXPECT_EQ(options.sampling.temperature, 0.0) << "greedy";
  EXPECT_EQ(options.sampling.top_p, 1.0);
  EXPECT_EQ(options.device, Device::cpu);
  EXPECT_EQ(options.dtype, DType::f32);
  EXPECT_EQ(options.threads, omp_get_num_procs());
  EXPECT_FALSE(options.ignore_eos);
  EXPECT_FALSE(options.sweep);
  EXPECT_TRUE(options.json.empty());
}

TEST(Options, TheSimulatorMakesFewerTokensUnlessAsked) {
  EXPECT_EQ(parse({"--device", "simt"}).max_tokens, 32);
  EXPECT_EQ(parse({"--device", "simt", "--max-tokens", "200"}).max_tokens, 200);
  EXPECT_EQ(parse({"--device", "cuda"}).max_tokens, 200);
}

TEST(Options, EveryFlagArrives) {
  const std::filesystem::path folder = temporary_folder();
  const std::string json = folder / "j.json", trace = folder / "t.json";
  const Options options =
      parse({"--model", "m",       "--prompt", "p",       "--max-tokens", "3",        "--temperature",
             "0.7",     "--top-k", "40",       "--top-p", "0.9",          "--min-p",  "0.05",
             "--seed",  "17",      "--dtype",  "bf16",    "--ignore-eos", "--device", "simt",
             "--json",  json,      "--trace",  trace,     "--reference",  "r.json",   "--threads",
             "3",       "--sweep"});
  EXPECT_EQ(options.model, "m");
  EXPECT_EQ(options.prompt, "p");
  EXPECT_EQ(options.max_tokens, 3);
  EXPECT_EQ(options.sampling.temperature, 0.7);
  EXPECT_EQ(options.sampling.top_k, 40);
  EXPECT_EQ(options.sampling.top_p, 0.9);
  EXPECT_EQ(options.sampling.min_p, 0.05);
  EXPECT_EQ(options.sampling.seed, 17u);
  EXPECT_EQ(options.dtype, DType::bf16);
  EXPECT_TRUE(options.ignore_eos);
  EXPECT_EQ(options.device, Device::simt);
  EXPECT_EQ(options.json, json);
  EXPECT_EQ(options.trace, trace);
  EXPECT_EQ(options.reference, "r.json");
  EXPECT_EQ(options.threads, 3);
  EXPECT_EQ(omp_get_max_threads(), 3);
  EXPECT_TRUE(options.sweep);
  EXPECT_EQ(parse({"--device", "cuda"}).device, Device::cuda);
  EXPECT_EQ(parse({"--prompt-file", "f.txt"}).prompt_file, "f.txt");
  EXPECT_EQ(parse({"--tokens", "1,2"}).tokens, "1,2");
  omp_set_num_threads(omp_get_num_procs());
}

TEST(Options, FlagsOutOfRange) {
  const std::vector<std::array<std::string, 3>> cases = {{"--max-tokens", "0", "an integer from 1 to 1048576"},
                                                         {"--max-tokens", "1048577", "an integer from 1 to 1048576"},
                                                         {"--temperature", "-0.1", "a number from 0 to 100"},
                                                         {"--temperature", "101", "a number from 0 to 100"},
                                                         {"--top-k", "-1", "an integer from 0 to 1048576"},
                                                         {"--top-k", "1.5", "an integer from 0 to 1048576"},
                                                         {"--top-p", "1.1", "a number from 0 to 1"},
                                                         {"--top-p", "nan", "a number from 0 to 1"},
                                                         {"--min-p", "-1", "a number from 0 to 1"},
                                                         {"--min-p", "2", "a number from 0 to 1"},
                                                         {"--seed", "-1", "an integer from 0 to 9223372036854775807"},
                                                         {"--threads", "-1", "an integer from 0 to 1024"},
                                                         {"--threads", "1025", "an integer from 0 to 1024"},
                                                         {"--device", "tpu", "one of cpu, simt, cuda"},
                                                         {"--dtype", "f16", "one of f32, bf16"}};
  for (const auto& [flag, value, allowed] : cases) {
    EXPECT_EQ(refusal({flag, value}), flag + " is \"" + value + "\", but must be " + allowed);
  }
}

TEST(Options, PromptsExcludeEachOther) {
  const std::string expected = "--prompt, --prompt-file and --tokens exclude each other; give one of them";
  EXPECT_EQ(refusal({"--prompt", "a", "--prompt-file", "b"}), expected);
  EXPECT_EQ(refusal({"--prompt", "a", "--tokens", "1"}), expected);
  EXPECT_EQ(refusal({"--prompt-file", "a", "--tokens", "1"}), expected);
  EXPECT_EQ(refusal({"--prompt", "Once upon a time", "--tokens", "1"}), expected) << "even the default";
}

TEST(Options, OutputFilesMustBePossible) {
  const std::filesystem::path folder = temporary_folder();
  const std::string absent = folder / "absent", file = folder / "file";
  write_file(file, "");
  for (const std::string flag : {"--json", "--trace"}) {
    EXPECT_EQ(refusal({flag, absent + "/x.json"}),
              flag + " is " + absent + "/x.json, but there is no folder " + absent + "; make it first");
    EXPECT_EQ(refusal({flag, file + "/x.json"}),
              flag + " is " + file + "/x.json, but there is no folder " + file + "; make it first");
    EXPECT_EQ(refusal({flag, folder.string()}), flag + " is " + folder.string() + ", a folder; name a file");
    EXPECT_EQ(refusal({flag, "/proc/x.json"}),
              flag + " is /proc/x.json, but nothing can be written to the folder /proc; name another");
    const std::string endless(5000, 'x');
    EXPECT_EQ(refusal({flag, endless + "/x.json"}),
              one_line(flag + " is " + endless + "/x.json, but there is no folder " + endless + "; make it first"));
    EXPECT_EQ(refusal({flag, folder / "new.json"}), "(no error)");
    EXPECT_EQ(refusal({flag, file}), "(no error)") << "it is replaced";
    EXPECT_EQ(refusal({flag, "/dev/null"}), "(no error)");
  }
  std::filesystem::remove(file);
  EXPECT_TRUE(std::filesystem::is_empty(folder)) << "looking leaves nothing";
}

TEST(Options, ChaptersAddTheirOwn) {
  OptionParser parser("prog", "A chapter.");
  int block_size = 16;
  parser.command_line().add("--block-size", &block_size, 1, 1024, "tokens a block holds");
  const char* argv[] = {"prog", "--block-size", "32", "--seed", "4"};
  EXPECT_EQ(parser.parse(5, argv).sampling.seed, 4u);
  EXPECT_EQ(block_size, 32);
}

}  // namespace
}  // namespace llm
