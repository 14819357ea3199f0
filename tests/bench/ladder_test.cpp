#include "bench/ladder/ladder.h"

#include <gtest/gtest.h>

#include <fstream>

#include "bench/ladder/ladder_tables.h"
#include "bench/ladder/long_ladder.h"
#include "tests/support/gpu_device.h"
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
       report(3, "paged", R"("ttft_ms": null, "tokens_per_second": null, "kv_bytes": null, "same_output": true)"),
       report(4, "flash", R"("ttft_ms": 3, "tokens_per_second": 500, "kv_bytes": 9, "same_output": true)")});
  EXPECT_EQ(table,
            "  chapter      first token      tokens/s     against 1  against before      KV bytes  same output\n"
            "  ───────────────────────────────────────────────────────────────────────────────────────────────\n"
            "  1 naive          2.50 ms          20.0         1.00×                           0 B          yes\n"
            "  2 KV cache       2.25 ms           250         12.5×           12.5×       2.05 kB           NO\n"
            "  3 paged     not measured  not measured  not measured    not measured  not measured          yes\n"
            "  4 flash          3.00 ms           500         25.0×    not measured           9 B          yes\n");
}

TEST(Ladder, WhatEachChapterIsAbout) {
  const auto about = [](int chapter, const std::string& details) {
    return report(chapter, "t", "\"details\": {" + details + "}");
  };
  const std::string table = figures_table({
      about(1, ""),
      about(2, R"("token_passes_naive": 12080, "token_passes_cached": 155)"),
      about(3, R"("contiguous": {"used_share": 0.3}, "paged": {"used_share": 0.9})"),
      about(4, R"("kernels": [{"name": "standard_attention", "n": 64, "bytes_read": 1, "bytes_written": 1},
        {"name": "standard_attention", "n": 128, "bytes_read": 6000, "bytes_written": 2000},
        {"name": "flash_attention_2", "n": 128, "bytes_read": 2500, "bytes_written": 500},
        {"name": "flash_attention_2", "n": 512, "bytes_read": null, "bytes_written": null}])"),
      about(5, R"("variants": [{"name": "MHA", "kv_bytes_per_token": 10240, "perplexity": 16.124},
        {"name": "GQA", "kv_bytes_per_token": 2560, "perplexity": null}])"),
      about(6, R"("acceptance": 0.8, "tokens_per_round": 3.456)"),
      about(7, R"("static": {"slot_steps": 200, "idle_slot_steps": 150},
        "continuous": {"slot_steps": 100, "idle_slot_steps": 10})"),
      about(8, R"("hit_rate": 0.5)"),
  });
  EXPECT_EQ(table,
            "  what each chapter is about                  without       with it\n"
            "  ─────────────────────────────────────────────────────────────────\n"
            "  2 tokens passed through the model            12,080           155\n"
            "  3 KV memory reserved, but holding no token    70.0%         10.0%\n"
            "  4 bytes that attention moves, N = 128       8.00 kB       3.00 kB\n"
            "  5 KV bytes a token, GQA                      10,240         2,560\n"
            "  5 perplexity, GQA                             16.12  not measured\n"
            "  6 drafted tokens accepted                                   80.0%\n"
            "  6 tokens a pass of the large model             1.00          3.46\n"
            "  7 slot-steps idle                             75.0%         10.0%\n"
            "  8 prompt tokens found in the cache             0.0%         50.0%\n");
}

// Chapters that only write what is asked of them: chapter 1 a new time in each run, chapter 2 only with a reference.
class LongLadders : public testing::Test {
 protected:
  void SetUp() override {
    add_program("chapter_01", "times=$(($(cat \"$0.runs\" 2>/dev/null || echo 0) + 1)); echo $times > \"$0.runs\"",
                "$((times * 10))", "");
    add_program("chapter_02", "case \"$*\" in *--reference*) ;; *) exit 9 ;; esac", "200", "");
    add_program("chapter_03", "echo words; exit 2", "1", "");
  }
  void add_program(const std::string& name, const std::string& body, const std::string& rate, const std::string& more) {
    const std::filesystem::path path = folder / name;
    std::ofstream(path) << "#!/bin/sh\n"
                        << body << "\nwhile [ \"$1\" != --json ]; do shift; done\n"
                        << "echo \"{\\\"technique\\\": \\\"t\\\", \\\"threads\\\": 2, \\\"tokens_per_second\\\": "
                        << rate
                        << ", \\\"ttft_ms\\\": 5, \\\"kv_bytes\\\": 7, \\\"near_ties\\\": 0, \\\"same_output\\\": true"
                        << more << "}\" > \"$2\"\n";
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    ladder.programs.push_back(path);
  }

  const std::filesystem::path folder = temporary_folder();
  LongLadder ladder{{}, folder, 3, 15.0};
  const std::vector<LadderCase> cases = {{"a", "cpu", "f32", 2, 4}, {"b", "cpu", "bf16", 3, 5, 1}};
};

TEST_F(LongLadders, GatherTheRepetitions) {
  const Json rows = run_long_ladder(ladder, cases);
  ASSERT_EQ(rows.size(), 4u) << "three chapters, and one of the second case";
  const Json naive = rows.at(0), cached = rows.at(1), broken = rows.at(2), other = rows.at(3);
  EXPECT_EQ(naive.at("model").string(), "a");
  EXPECT_EQ(naive.at("prompt_tokens").integer(), 2);
  // The two cases take turns: runs 1, 3 and 5 of chapter 1, and runs 2, 4 and 6.
  EXPECT_EQ(naive.at("tokens_per_second").dump(-1), R"({"median":30.0,"min":10.0,"max":50.0,"repetitions":3})");
  EXPECT_EQ(other.at("tokens_per_second").dump(-1), R"({"median":40.0,"min":20.0,"max":60.0,"repetitions":3})");
  EXPECT_EQ(cached.at("tokens_per_second").at("repetitions").integer(), 3);
  EXPECT_EQ(cached.at("kv_bytes").integer(), 7);
  EXPECT_EQ(broken.at("not_measured").string(), "the program ended with 2");
  EXPECT_FALSE(broken.has("tokens_per_second"));
  EXPECT_EQ(other.at("dtype").string(), "bf16");
  const std::string table = long_table(rows);
  EXPECT_NE(table.find("  a cpu f32, 2 + 4         2           200                   200–200      6.67×"),
            std::string::npos)
      << table;
}

TEST_F(LongLadders, StopWhenTimeIsOver) {
  ladder.minutes = 0.0;
  const Json rows = run_long_ladder(ladder, cases);
  ASSERT_EQ(rows.size(), 4u);
  rows.for_each([](const Json& row) {
    EXPECT_EQ(row.at("not_measured").string(), "time was over before its turn") << row.dump();
  });
}

TEST(Ladder, LongCasesAreThoseOfTheMachine) {
  for (const LadderCase& one : ladder_cases()) {
    if (one.device == "cuda") {
      EXPECT_EQ(missing_device(Device::cuda), "");
    }
  }
  EXPECT_GE(ladder_cases().size(), 6u);
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
