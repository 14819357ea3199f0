#include "bench/ladder/ladder.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/sentence_of.h"
#include "tests/support/temporary_folder.h"

namespace llm {
namespace {

Json report(int chapter, const std::string& technique, const std::string& rest) {
  return Json::parse(
      "{\"chapter\": " + std::to_string(chapter) + ", \"technique\": \"" + technique + "\", " + rest + "}", "report");
}

TEST(Ladder, OneRowAReport) {
  const std::string table = ladder_table(
      {report(1, "naive", R"("ttft_ms": 2.5, "tokens_per_second": 20, "kv_bytes": 0, "same_output": true)"),
       report(2, "KV cache", R"("ttft_ms": 2.25, "tokens_per_second": 250, "kv_bytes": 2048, "same_output": false)"),
       report(3, "paged", R"("ttft_ms": null, "tokens_per_second": null, "kv_bytes": null, "same_output": true)")});
  EXPECT_EQ(table,
            "  chapter     time to first token      tokens/s  against chapter 1      KV bytes  same output\n"
            "  ───────────────────────────────────────────────────────────────────────────────────────────\n"
            "  1 naive                 2.50 ms          20.0              1.00×           0 B          yes\n"
            "  2 KV cache              2.25 ms           250              12.5×       2.05 kB           NO\n"
            "  3 paged            not measured  not measured       not measured  not measured          yes\n");
}

TEST(Ladder, FindsTheChaptersInOrder) {
  const std::filesystem::path folder = temporary_folder();
  for (const char* file : {"02_kv_cache/chapter_02", "01_naive_generation/chapter_01", "10_late/chapter_10",
                           "03_not_built/CMakeCache.txt", "CMakeFiles/x", "04_folder/chapter_04/x"}) {
    std::filesystem::create_directories((folder / file).parent_path());
    std::ofstream(folder / file) << "x";
  }
  EXPECT_EQ(find_chapter_programs(folder),
            (std::vector<std::filesystem::path>{folder / "01_naive_generation/chapter_01",
                                                folder / "02_kv_cache/chapter_02", folder / "10_late/chapter_10"}));
  EXPECT_TRUE(find_chapter_programs(folder / "absent").empty());
}

TEST(Ladder, ReturnsTheProgramsExitCode) {
  EXPECT_EQ(run_program_file("/bin/sh", {"-c", "exit 0"}), 0);
  EXPECT_EQ(run_program_file("/bin/sh", {"-c", "exit 1"}), 1);
  EXPECT_EQ(run_program_file("/bin/sh", {"-c", "exit 2"}), 2);
  EXPECT_EQ(run_program_file("/bin/sh", {"-c", "kill -9 $$"}), 3) << "a signal is no success";
  EXPECT_EQ(run_program_file("/bin/sh", {"-c", "test \"$1\" = 'two words'", "sh", "two words"}), 0);
  EXPECT_SENTENCE(run_program_file("/no/such/program", {}), "/no/such/program: can't be started; build it with ./run");
}

TEST(Ladder, KnowsTheMachine) {
  const Json machine = describe_machine(Device::cpu);
  EXPECT_FALSE(machine.at("processor").string().empty());
  EXPECT_GE(machine.at("cores").integer(), 1);
  EXPECT_EQ(machine.at("system").string().substr(0, 5), "Linux");
  EXPECT_FALSE(machine.at("compiler").string().empty());
}

TEST(Ladder, KnowsTheCommit) {
  const std::filesystem::path folder = temporary_folder();
  setenv("COMMIT", "0123", 1);
  EXPECT_EQ(describe_commit(folder), "0123");
  unsetenv("COMMIT");
  EXPECT_EQ(describe_commit(folder), "") << "no repository";
  const auto git = [&](const std::string& command) {
    return run_program_file("/bin/sh", {"-c", "cd '" + folder.string() + "' && git -c user.name=a -c user.email=b " +
                                                  command + " > /dev/null 2>&1"});
  };
  if (git("init") != 0) GTEST_SKIP() << "no git here";
  std::ofstream(folder / "file") << "1";
  ASSERT_EQ(git("add file"), 0);
  ASSERT_EQ(git("commit -m first"), 0);
  const std::string clean = describe_commit(folder);
  EXPECT_EQ(clean.size(), 12u) << clean;
  EXPECT_EQ(clean.find_first_not_of("0123456789abcdef"), std::string::npos);
  std::ofstream(folder / "file") << "2";
  EXPECT_EQ(describe_commit(folder), clean + "+") << "files differ from the commit";
}

}  // namespace
}  // namespace llm
