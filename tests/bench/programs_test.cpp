// The programs themselves, run as a user runs them: exit codes, what is printed, what is written.
#include <gtest/gtest.h>

#include <numeric>
#include <sstream>

#include "bench/perplexity/perplexity.h"
#include "common/program/loaded_model.h"
#include "tests/support/gpu_device.h"
#include "tests/support/process.h"
#include "tests/support/tiny_model.h"

namespace llm {
namespace {

using Words = std::vector<std::string>;

class Programs : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    ModelConfig config = tiny_config("llama");
    config.vocab_size = 512;
    model = temporary_root() / "tiny";
    write_tiny_model(model, config, 1, "gpt2");
  }
  void SetUp() override { folder = temporary_folder(); }

  // With the tiny model and a short text.
  static Outcome run(const std::string& program, Words more) {
    more.insert(more.end(), {"--model", model, "--max-tokens", "9", "--ignore-eos"});
    return run_process(program, more);
  }

  // Its report of a run with chapter 1 or 2 and nothing but these flags.
  Json report(const std::string& program, Words arguments) const {
    arguments.insert(arguments.end(), {"--json", file("report")});
    const Outcome outcome = run_process(program, arguments);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return Json::parse_file(file("report"));
  }

  // The cells of the table's line that begins with `what`, one space between them.
  static std::string row(const std::string& out, const std::string& what) {
    const size_t begin = out.find("\n  " + what + "  ");
    if (begin == std::string::npos) return "no row " + what;
    std::istringstream cells(out.substr(begin + 3 + what.size(), out.find('\n', begin + 1) - begin - 3 - what.size()));
    std::string text;
    for (std::string cell; cells >> cell;) text += (text.empty() ? "" : " ") + cell;
    return text;
  }

  // One sentence on stderr that has `part` in it, exit code 2, and no file in the test's folder.
  void expect_refusal(const std::string& program, const Words& arguments, const std::string& part) const {
    const testing::ScopedTrace trace(__FILE__, __LINE__, program + " ... " + part);
    const Outcome outcome = run_process(program, arguments);
    EXPECT_EQ(outcome.code, 2) << outcome.err;
    EXPECT_TRUE(outcome.err.starts_with("error: ")) << outcome.err;
    EXPECT_EQ(outcome.err.find('\n'), outcome.err.size() - 1) << outcome.err;
    EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
    EXPECT_TRUE(std::filesystem::is_empty(folder));
  }

  // Chapter 1's report in the file "one", with another ninth token.
  void write_changed_reference() const {
    ASSERT_EQ(run(CHAPTER_01_PROGRAM, {"--tokens", "3,4", "--json", file("one")}).code, 0);
    const Json changed = Json::parse_file(file("one"));
    std::vector<int32_t> ids;
    changed.at("token_ids").for_each([&](const Json& id) { ids.push_back(static_cast<int32_t>(id.integer())); });
    ids[8] = (ids[8] + 1) % 512;
    Json(changed).set("token_ids", Json::integers(ids));
    write_file(file("one"), changed.dump());
  }

  std::string file(const char* name) const { return folder / name; }

  inline static std::string model;
  std::filesystem::path folder;
};

TEST_F(Programs, Chapter1) {
  const Outcome outcome = run(CHAPTER_01_PROGRAM, {"--prompt", "red kite", "--json", file("j"), "--trace", file("t")});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.err, "");
  EXPECT_TRUE(outcome.out.starts_with("red kite")) << outcome.out;
  EXPECT_NE(outcome.out.find("\n  same output as chapter 1: yes"), std::string::npos) << outcome.out;
  const Json json = Json::parse_file(file("j"));
  EXPECT_EQ(json.at("chapter").integer(), 1);
  EXPECT_EQ(json.at("token_ids").size(), 9u);
  EXPECT_EQ(json.at("kv_bytes").integer(), 0);
  EXPECT_TRUE(json.at("same_output").boolean());
  const int64_t prompt = json.at("prompt_tokens").integer();
  EXPECT_EQ(json.at("details").at("token_passes").integer(), 9 * prompt + 36);
  EXPECT_EQ(json.at("details").at("token_passes_needed").integer(), prompt + 8);
  EXPECT_EQ(Json::parse_file(file("t")).at("traceEvents").size(), 10u);
}

TEST_F(Programs, Chapter1ShowsTheRepeatedWork) {
  const Outcome outcome = run(CHAPTER_01_PROGRAM, {"--tokens", "70,71"});
  EXPECT_EQ(row(outcome.out, "tokens passed through the model"), "54 54") << outcome.out;
  EXPECT_EQ(row(outcome.out, "of these repeated work"), "81.5%") << "54 where 10 would do\n" << outcome.out;
}

TEST_F(Programs, Chapter2) {
  const Outcome outcome = run(CHAPTER_02_PROGRAM, {"--tokens", "70,71", "--json", file("j"), "--trace", file("t")});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("\n  same output as chapter 1: yes"), std::string::npos) << outcome.out;
  const Json json = Json::parse_file(file("j")), details = json.at("details");
  EXPECT_EQ(json.at("chapter").integer(), 2);
  EXPECT_EQ(json.at("prompt_token_ids").dump(-1), "[70,71]");
  EXPECT_EQ(details.at("kv_bytes_per_token").integer(), 2 * 2 * 2 * 6 * 4);
  EXPECT_EQ(json.at("kv_bytes").integer(), 2 * 2 * 2 * 6 * 4 * 11) << "reserved for the prompt and 9 tokens";
  EXPECT_EQ(details.at("token_passes_naive").integer(), 9 * 2 + 36);
  EXPECT_EQ(details.at("token_passes_cached").integer(), 10);
  EXPECT_EQ(Json::parse_file(file("t")).at("traceEvents").size(), 10u);
  EXPECT_EQ(row(outcome.out, "tokens passed, chapter 1"), "54") << outcome.out;
  EXPECT_EQ(row(outcome.out, "tokens passed, chapter 2"), "10 10");
  EXPECT_EQ(row(outcome.out, "KV bytes per token"), "192 192");
  EXPECT_EQ(row(outcome.out, "KV bytes reserved"), "2.11 kB 2.11 kB");
  // The cost of the cache elsewhere: 2 · layers · KV heads · head_dim · 2 bytes.
  EXPECT_EQ(row(outcome.out, "llama-2-7b"), "32 32 128 524 kB 2.15 GB");
  EXPECT_EQ(row(outcome.out, "llama-3-8b"), "32 8 128 131 kB 537 MB");
  EXPECT_EQ(row(outcome.out, "llama-3-70b"), "80 8 128 328 kB 1.34 GB");
  const Json models = details.at("real_models");
  ASSERT_EQ(models.size(), 3u);
  EXPECT_EQ(models.at(1).dump(-1),
            R"({"name":"llama-3-8b","layers":32,"kv_heads":8,"head_dim":128,"kv_bytes_per_token":131072})");
}

TEST_F(Programs, Chapter3) {
  const Words flags = {"--tokens", "70,71,72,73,74,75", "--block-size", "4", "--samples", "3"};
  Words arguments = flags;
  arguments.insert(arguments.end(), {"--json", file("j"), "--trace", file("t")});
  const Outcome outcome = run(CHAPTER_03_PROGRAM, arguments);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("\n  same output as chapter 1: yes"), std::string::npos) << outcome.out;
  const Json json = Json::parse_file(file("j")), details = json.at("details");
  const int64_t block_bytes = 4 * 2 * 2 * 2 * 6 * 4;
  EXPECT_EQ(json.at("chapter").integer(), 3);
  EXPECT_EQ(json.at("kv_bytes").integer(), 4 * block_bytes) << "6 + 9 - 1 tokens";
  EXPECT_EQ(details.at("block_size").integer(), 4);
  EXPECT_EQ(details.at("block_table").dump(-1), "[0,1,2,3]");
  EXPECT_EQ(row(outcome.out, "blocks of the text"), "4 4");
  EXPECT_EQ(row(outcome.out, "requests that say what chapter 1 says"), "48 48");
  EXPECT_TRUE(details.at("requests_same_output").boolean());

  // Room for four texts of 15 tokens, each rounded up to blocks: 64 slots.
  EXPECT_EQ(details.at("kv_budget_bytes").integer(), 16 * block_bytes);
  const int64_t used = details.at("bytes_used").integer(), paged = details.at("bytes_reserved_paged").integer();
  const int64_t contiguous = details.at("bytes_reserved_contiguous").integer();
  EXPECT_LE(used, paged);
  EXPECT_LT(paged, contiguous);
  EXPECT_LE(paged, 16 * block_bytes);
  EXPECT_EQ(paged % block_bytes, 0);
  EXPECT_EQ(contiguous % (15 * block_bytes / 4), 0);
  EXPECT_EQ(details.at("contiguous").at("most_at_once").integer(), 4);
  EXPECT_EQ(details.at("contiguous").at("preemptions").integer(), 0);
  EXPECT_GT(details.at("paged").at("most_at_once").integer(), 4);
  EXPECT_LT(details.at("paged").at("steps").integer(), details.at("contiguous").at("steps").integer());
  EXPECT_NEAR(details.at("contiguous").at("used_share").number(),
              details.at("contiguous").at("predicted_used_share").number(), 1e-12);

  // Three samples of 6 tokens and 8 more: the full block once, 3 more blocks each; two copies.
  EXPECT_EQ(details.at("blocks_copied").integer(), 2);
  EXPECT_EQ(details.at("samples").at("blocks").integer(), 1 + 3 * 3);
  EXPECT_EQ(row(outcome.out, "3 samples: blocks, 12 if unshared"), "10 10") << outcome.out;
  // Other endings of the text's first 7 tokens, to the same length of 15.
  EXPECT_EQ(details.at("endings").at("prompt_tokens").integer(), 7);
  EXPECT_EQ(row(outcome.out, "3 endings: blocks, 12 if unshared"), "10 10") << outcome.out;
  EXPECT_NE(outcome.out.find("\n  sequence 0, 14 tokens: 0×3 "), std::string::npos) << outcome.out;
  EXPECT_EQ(Json::parse_file(file("t")).at("traceEvents").size(), 10u);
}

TEST_F(Programs, Chapter3WithOtherBlocksAndSamples) {
  for (const char* block_size : {"1", "2", "16", "256"}) {
    for (const Words& more : {Words{"--samples", "1"}, {"--temperature", "1.3", "--seed", "4"}, {"--dtype", "bf16"}}) {
      Words arguments = {"--tokens", "3,4,5", "--block-size", block_size, "--json", file("j")};
      arguments.insert(arguments.end(), more.begin(), more.end());
      const Outcome outcome = run(CHAPTER_03_PROGRAM, arguments);
      ASSERT_EQ(outcome.code, 0) << block_size << more[0] << outcome.out << outcome.err;
    }
  }
  // A sweep, in a budget of one text: all but one wait.
  const Outcome outcome =
      run(CHAPTER_03_PROGRAM, {"--tokens", "3,4,5", "--sweep", "--kv-budget", "0.00308", "--json", file("j")});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json details = Json::parse_file(file("j")).at("details");
  EXPECT_EQ(details.at("sweep").size(), 9u);
  EXPECT_EQ(details.at("sweep").at(8).at("block_size").integer(), 256);
  EXPECT_EQ(details.at("paged").at("most_at_once").integer(), 1);
}

// A text that differs from chapter 1's is found in the many requests too.
TEST_F(Programs, Chapter3ComparesAllItsTexts) {
  write_changed_reference();
  const Outcome outcome = run(CHAPTER_03_PROGRAM, {"--tokens", "3,4", "--reference", file("one"), "--json", file("j")});
  EXPECT_EQ(outcome.code, 1);
  const Json details = Json::parse_file(file("j")).at("details");
  EXPECT_FALSE(details.at("requests_same_output").boolean()) << "those that went as far as the ninth token";
}

TEST_F(Programs, Chapter3BadInput) {
  const Words with_model = {"--model", model, "--tokens", "3,4", "--max-tokens", "9"};
  const auto refused = [&](const Words& more, const std::string& part) {
    Words arguments = with_model;
    arguments.insert(arguments.end(), more.begin(), more.end());
    expect_refusal(CHAPTER_03_PROGRAM, arguments, part);
  };
  refused({"--block-size", "12"}, "--block-size is 12, but must be a power of two from 1 to 256");
  refused({"--block-size", "0"}, "--block-size is \"0\"");
  refused({"--block-size", "512"}, "--block-size is \"512\"");
  refused({"--samples", "0"}, "--samples is \"0\"");
  refused({"--kv-budget", "-1"}, "--kv-budget is \"-1\"");
  refused({"--kv-budget", "0.003"}, "--kv-budget is 0.003 MB, but a text of 11 tokens takes 3.07 kB in blocks of 16");
}

TEST_F(Programs, Chapter4) {
  for (const char* dtype : {"f32", "bf16"}) {
    const Outcome outcome =
        run(CHAPTER_04_PROGRAM, {"--tokens", "70,71,72,73,74,75", "--dtype", dtype, "--json", file("j")});
    ASSERT_EQ(outcome.code, 0) << outcome.out << outcome.err;
    EXPECT_NE(outcome.out.find("\nscores [6]  m 6  l 1.154  O / l (2.851)\n"), std::string::npos) << outcome.out;
    EXPECT_NE(outcome.out.find("flash_attention_3, for Hopper: not built yet"), std::string::npos);
    const Json json = Json::parse_file(file("j")), details = json.at("details");
    EXPECT_EQ(json.at("chapter").integer(), 4);
    EXPECT_TRUE(json.at("same_output").boolean());
    EXPECT_TRUE(details.at("same_output_paged").boolean());
    EXPECT_GT(details.at("decode_time_ratio").number(), 0.0);
    std::map<std::string, std::vector<int64_t>> read;  // by step: of 32, 64 and 128 queries over as many keys
    details.at("kernels").for_each([&](const Json& kernel) {
      EXPECT_LT(kernel.at("max_error").number(), 1e-6);
      EXPECT_TRUE(kernel.at("tflops").is_null());
      if (kernel.at("bytes_read").is_null()) return;  // a build that can't count
      EXPECT_GE(kernel.at("bytes_read").number(), kernel.at("predicted_bytes_read").number());
      read[kernel.at("name").string()].push_back(static_cast<int64_t>(kernel.at("bytes_read").number()));
    });
    for (const auto& [name, bytes] : read) {
      ASSERT_EQ(bytes.size(), 3u) << name;
      EXPECT_GT(bytes[2], 3 * bytes[1]) << name << " grows with the square";
    }
    if (!read.empty()) {
      EXPECT_LT(2 * read.at("flash_attention_2")[2], read.at("standard_attention")[2]);
    }
  }
}

// What differs from chapter 1 is found in the text out of blocks as well.
TEST_F(Programs, Chapter4ComparesBothTexts) {
  write_changed_reference();
  EXPECT_EQ(run(CHAPTER_04_PROGRAM, {"--tokens", "3,4", "--reference", file("one"), "--json", file("j")}).code, 1);
  const Json json = Json::parse_file(file("j"));
  EXPECT_FALSE(json.at("same_output").boolean());
  EXPECT_FALSE(json.at("details").at("same_output_paged").boolean());
}

TEST_F(Programs, Chapter4RefusesWideHeads) {
  ModelConfig config = tiny_config("qwen3");
  config.head_dim = 130;
  write_tiny_model(model + "-wide", config, 1, "gpt2");
  expect_refusal(CHAPTER_04_PROGRAM, {"--model", model + "-wide", "--tokens", "3,4"},
                 "has a head_dim of 130, but this chapter's kernels are built for 128 at most");
}

TEST_F(Programs, Chapter7) {
  Words arguments = {"--tokens", "70,71,72", "--num-requests", "6", "--output-mean", "5", "--max-running", "2"};
  arguments.insert(arguments.end(), {"--json", file("j"), "--results", file("r"), "--step-log", file("s")});
  arguments.insert(arguments.end(), {"--trace", file("t")});
  const Outcome outcome = run(CHAPTER_07_PROGRAM, arguments);
  ASSERT_EQ(outcome.code, 0) << outcome.out << outcome.err;
  EXPECT_NE(outcome.out.find("\n  same output as chapter 1: yes"), std::string::npos) << outcome.out;
  EXPECT_EQ(row(outcome.out, "requests that say what they say alone"), "21 21");
  const Json json = Json::parse_file(file("j")), details = json.at("details");
  EXPECT_EQ(json.at("chapter").integer(), 7);
  EXPECT_EQ(details.at("requests").integer(), 7);
  EXPECT_TRUE(details.at("requests_same_output").boolean());
  std::map<std::string, int64_t> steps;
  for (const char* key : {"static", "static_skipping", "continuous"}) {
    const Json run = details.at(key);
    steps[key] = run.at("steps").integer();
    EXPECT_EQ(run.at("predicted_steps").integer(), steps[key]) << key << ": there are budget and blocks for all";
    EXPECT_EQ(run.at("slot_steps").integer(), 2 * steps[key]);
    EXPECT_EQ(run.at("slot_steps").integer() - run.at("idle_slot_steps").integer(),
              run.at("tokens_generated").integer())
        << key << ": a slot with work makes a token";
    EXPECT_GT(run.at("ttft_ms_p50").number(), 0.0);
    EXPECT_LE(run.at("itl_ms_p50").number(), run.at("itl_ms_p99").number());
    EXPECT_EQ(run.at("preemptions").integer(), 0);
  }
  EXPECT_LT(steps["continuous"], steps["static"]);
  EXPECT_EQ(steps["static_skipping"], steps["static"]);
  EXPECT_GT(details.at("static").at("tokens_padded").integer(), 0);
  EXPECT_EQ(details.at("static_skipping").at("tokens_padded").integer(), 0);
  const std::string results = read_file(file("r")), log = read_file(file("s"));
  EXPECT_EQ(std::ranges::count(results, '\n'), 7);
  EXPECT_TRUE(results.starts_with("{\"id\":\"prompt\",\"token_ids\":[")) << results;
  EXPECT_EQ(std::ranges::count(log, '\n'), steps["continuous"]);
  EXPECT_EQ(Json::parse_file(file("t")).at("traceEvents").size(),
            static_cast<size_t>(2 + details.at("continuous").at("tokens_generated").integer()))
      << "names of two rows, and each slot-step with work";
}

TEST_F(Programs, Chapter7ServesAFileOfRequests) {
  const std::filesystem::path elsewhere = temporary_root() / "requests.jsonl";
  write_file(elsewhere, R"({"id": "a", "prompt_token_ids": [3, 4, 5], "max_tokens": 12, "ignore_eos": true}
{"id": "b", "prompt": "red kite", "max_tokens": 6, "arrival_step": 2, "temperature": 0.9, "seed": 4}
{"id": "huge", "prompt_token_ids": [3], "max_tokens": 40}
{"id": "gone", "prompt_token_ids": [7, 8], "max_tokens": 20, "ignore_eos": true, "cancel_step": 4}
)");
  for (const char* scheduler : {"continuous", "static"}) {
    const Outcome outcome = run_process(
        CHAPTER_07_PROGRAM, {"--model", model, "--requests", elsewhere, "--scheduler", scheduler, "--num-blocks", "8",
                             "--block-size", "4", "--token-budget", "4", "--results", file("r"), "--json", file("j")});
    ASSERT_EQ(outcome.code, 0) << outcome.out << outcome.err;
    std::istringstream lines(read_file(file("r")));
    std::map<std::string, Json> results;
    for (std::string line; std::getline(lines, line);) {
      const Json result = Json::parse(line, "results");
      results.emplace(result.at("id").string(), result);
    }
    ASSERT_EQ(results.size(), 4u);
    EXPECT_EQ(results.at("a").at("token_ids").size(), 12u);
    EXPECT_EQ(results.at("a").at("finish_reason").string(), "length");
    EXPECT_EQ(results.at("huge").at("finish_reason").string(), "rejected");
    EXPECT_EQ(results.at("gone").at("finish_reason").string(), "cancelled");
    EXPECT_LE(results.at("gone").at("token_ids").size(), 4u);
    EXPECT_EQ(Json::parse_file(file("j")).at("token_ids").size(), 12u) << "the first request's";
  }
}

TEST_F(Programs, Chapter7ComparesAllItsTexts) {
  write_changed_reference();
  const Outcome outcome =
      run(CHAPTER_07_PROGRAM, {"--tokens", "3,4", "--num-requests", "2", "--reference", file("one")});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.out.find("same output as chapter 1: no: token 8"), std::string::npos) << outcome.out;
}

TEST_F(Programs, Chapter7Sweep) {
  const Outcome outcome =
      run(CHAPTER_07_PROGRAM, {"--tokens", "3,4", "--num-requests", "4", "--sweep", "--json", file("j")});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json sweep = Json::parse_file(file("j")).at("details").at("sweep");
  ASSERT_EQ(sweep.size(), 18u);
  EXPECT_EQ(sweep.at(0).at("token_budget").integer(), 16);
  EXPECT_EQ(sweep.at(0).at("max_chunk").integer(), 8);
  EXPECT_TRUE(sweep.at(17).at("max_chunk").is_null());
}

TEST_F(Programs, Chapter7BadInput) {
  const std::filesystem::path elsewhere = temporary_root() / "bad.jsonl";
  write_file(elsewhere, "{\"id\": \"a\", \"prompt\": \"x\"}\n{\"id\": \"b\", \"prompt\": \"x\", \"top_k\": -1}\n");
  const auto refused = [&](const Words& more, const std::string& part) {
    Words arguments = {"--model", model, "--max-tokens", "9", "--results", file("r"), "--step-log", file("s")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    expect_refusal(CHAPTER_07_PROGRAM, arguments, part);
  };
  refused({"--requests", elsewhere}, "bad.jsonl, line 2: top_k is -1, but must be an integer from 0 to 1048576");
  refused({"--requests", "no/such/file"}, "no/such/file: no such file");
  refused({"--requests", elsewhere, "--prompt", "a"}, "--requests and --prompt exclude each other");
  refused({"--block-size", "12"}, "--block-size is 12, but must be a power of two from 1 to 256");
  refused({"--scheduler", "eager"}, "--scheduler is \"eager\", but must be one of continuous, static");
  refused({"--policy", "lifo"}, "--policy is \"lifo\", but must be one of fcfs, priority");
  refused({"--token-budget", "0"}, "--token-budget is \"0\"");
  refused({"--max-running", "0"}, "--max-running is \"0\"");
  refused({"--prefix-cache", "on"}, "--prefix-cache on is what chapter 8 adds");
  expect_refusal(CHAPTER_07_PROGRAM, {"--model", model, "--results", file("no/such/folder")}, "--results is ");
  expect_refusal(CHAPTER_07_PROGRAM, {"--model", model, "--step-log", folder.string()}, "a folder; name a file");
}

TEST_F(Programs, TheCacheIsReservedForTheLongestCase) {
  const int64_t bytes_per_token = 2 * 2 * 2 * 6 * 4, context = 48;
  const Words endless = {"--model", model, "--tokens", "3", "--ignore-eos", "--max-tokens", "1000"};
  const Json f32 = report(CHAPTER_02_PROGRAM, endless);
  EXPECT_EQ(f32.at("kv_bytes").integer(), bytes_per_token * context);
  EXPECT_EQ(f32.at("details").at("finish_reason").string(), "context");
  Words in_bf16 = endless;
  in_bf16.insert(in_bf16.end(), {"--dtype", "bf16"});
  EXPECT_EQ(report(CHAPTER_02_PROGRAM, in_bf16).at("kv_bytes").integer(), bytes_per_token * context / 2);
}

// In this model every token ends the text.
TEST_F(Programs, TheTextEndsUnlessIgnored) {
  ModelConfig config = tiny_config("llama");
  config.vocab_size = 512;
  config.eos_token_ids.resize(512);
  std::iota(config.eos_token_ids.begin(), config.eos_token_ids.end(), 0);
  const std::filesystem::path terse = temporary_root() / "terse";
  write_tiny_model(terse, config, 1, "gpt2");
  for (const char* program :
       {CHAPTER_01_PROGRAM, CHAPTER_02_PROGRAM, CHAPTER_03_PROGRAM, CHAPTER_04_PROGRAM, CHAPTER_07_PROGRAM}) {
    const Words arguments = {"--model", terse, "--tokens", "3", "--max-tokens", "5"};
    const Json stopped = report(program, arguments);
    EXPECT_EQ(stopped.at("token_ids").size(), 1u) << program;
    EXPECT_EQ(stopped.at("details").at("finish_reason").string(), "stop");
    Words on = arguments;
    on.push_back("--ignore-eos");
    EXPECT_EQ(report(program, on).at("token_ids").size(), 5u) << program;
  }
}

// The second of two tokens needs no more reading than the first, and at most twice the operations.
TEST_F(Programs, PredictionsAreForOneToken) {
  for (const char* program : {CHAPTER_01_PROGRAM, CHAPTER_02_PROGRAM, CHAPTER_03_PROGRAM, CHAPTER_04_PROGRAM}) {
    const Json details =
        report(program, {"--model", model, "--tokens", "3", "--ignore-eos", "--max-tokens", "2"}).at("details");
    const double first = details.at("predicted_ttft_ms").number();
    const double second = 1000.0 / details.at("predicted_tokens_per_second").number();
    EXPECT_GE(second, 0.99 * first) << program;
    EXPECT_LE(second, 2.1 * first) << program;
  }
}

// What the simulator takes says nothing of a GPU, so nothing is predicted for it.
TEST_F(Programs, NoPredictionForTheSimulator) {
  LLM_SKIP_WITHOUT(Device::simt);
  for (const char* program : {CHAPTER_01_PROGRAM, CHAPTER_02_PROGRAM}) {
    const Outcome outcome = run(program, {"--tokens", "3,5", "--device", "simt", "--json", file("simt")});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    const Json details = Json::parse_file(file("simt")).at("details");
    EXPECT_TRUE(details.at("predicted_ttft_ms").is_null());
    EXPECT_TRUE(details.at("predicted_tokens_per_second").is_null());
    const std::string cells = row(outcome.out, "time to first token");
    EXPECT_EQ(std::count(cells.begin(), cells.end(), ' '), 1) << "the measured time alone: " << cells;
    EXPECT_EQ(outcome.out.find("nan"), std::string::npos) << outcome.out;
  }
}

TEST_F(Programs, OneTokenOnly) {
  for (const char* program :
       {CHAPTER_01_PROGRAM, CHAPTER_02_PROGRAM, CHAPTER_03_PROGRAM, CHAPTER_04_PROGRAM, CHAPTER_07_PROGRAM}) {
    const Outcome outcome =
        run_process(program, {"--model", model, "--tokens", "3", "--max-tokens", "1", "--json", file("j")});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    const Json json = Json::parse_file(file("j"));
    EXPECT_TRUE(json.at("tokens_per_second").is_null()) << "nothing came after the first";
    EXPECT_TRUE(json.at("details").at("predicted_tokens_per_second").is_null());
    EXPECT_EQ(row(outcome.out, "tokens/s after the first"), "not measured") << outcome.out;
    EXPECT_NE(outcome.out.find(": 1 token after 1, "), std::string::npos) << outcome.out;
    EXPECT_EQ(outcome.out.find("nan"), std::string::npos) << outcome.out;
  }
}

TEST_F(Programs, TheSameSeedAndAnyThreadsGiveTheSameText) {
  std::string tokens;
  for (const char* program :
       {CHAPTER_01_PROGRAM, CHAPTER_02_PROGRAM, CHAPTER_03_PROGRAM, CHAPTER_04_PROGRAM, CHAPTER_07_PROGRAM}) {
    for (const char* threads : {"1", "2", "3"}) {
      const Outcome outcome = run(program, {"--temperature", "1.5", "--top-k", "50", "--seed", "9223372036854775807",
                                            "--threads", threads, "--json", file("j")});
      ASSERT_EQ(outcome.code, 0) << outcome.err;
      const Json json = Json::parse_file(file("j"));
      EXPECT_EQ(json.at("seed").integer(), INT64_MAX);
      EXPECT_EQ(json.at("threads").integer(), std::stoi(threads));
      if (tokens.empty()) tokens = json.at("token_ids").dump();
      EXPECT_EQ(json.at("token_ids").dump(), tokens);
    }
  }
}

TEST_F(Programs, Chapter2AgainstChapter1sFile) {
  ASSERT_EQ(run(CHAPTER_01_PROGRAM, {"--json", file("one")}).code, 0);
  EXPECT_EQ(run(CHAPTER_02_PROGRAM, {"--reference", file("one")}).code, 0);

  const Json changed = Json::parse_file(file("one"));
  std::vector<int32_t> ids;
  changed.at("token_ids").for_each([&](const Json& id) { ids.push_back(static_cast<int32_t>(id.integer())); });
  ids[4] = (ids[4] + 1) % 512;
  Json(changed).set("token_ids", Json::integers(ids));
  write_file(file("one"), changed.dump());
  const Outcome differs = run(CHAPTER_02_PROGRAM, {"--reference", file("one"), "--json", file("two")});
  EXPECT_EQ(differs.code, 1);
  EXPECT_NE(differs.out.find("same output as chapter 1: no: token 4 is "), std::string::npos) << differs.out;
  const Json two = Json::parse_file(file("two"));
  EXPECT_FALSE(two.at("same_output").boolean());
  EXPECT_EQ(two.at("first_difference").at("index").integer(), 4);

  const Outcome ladder = run(LADDER_PROGRAM, {"--reference", file("one"), "--json", file("ladder")});
  EXPECT_EQ(ladder.code, 1) << "one chapter that differs is enough";
  EXPECT_TRUE(ladder.out.ends_with("NO\n")) << ladder.out;
  EXPECT_FALSE(Json::parse_file(file("ladder")).at("chapters").at(1).at("same_output").boolean());
}

// A near-tie is one where chapter 1's logits say so, and from there on chapter 2 may differ.
TEST_F(Programs, Chapter2AfterANearTieOfChapter1) {
  ASSERT_EQ(run(CHAPTER_01_PROGRAM, {"--json", file("one")}).code, 0);
  const Json one = Json::parse_file(file("one"));
  std::vector<int32_t> ids;
  one.at("token_ids").for_each([&](const Json& id) { ids.push_back(static_cast<int32_t>(id.integer())); });
  ids[4] = (ids[4] + 1) % 512;
  Json(one).set("token_ids", Json::integers(ids));
  one.at("details").set("top_gaps", Json::parse("[1, 1, 1, 1, 0, 1, 1, 1, 1]", "gaps"));
  write_file(file("one"), one.dump());
  const Outcome outcome = run(CHAPTER_02_PROGRAM, {"--reference", file("one"), "--json", file("two")});
  EXPECT_EQ(outcome.code, 0) << outcome.out;
  EXPECT_NE(outcome.out.find("same output as chapter 1: yes, up to a near-tie: token 4 is "), std::string::npos)
      << outcome.out;
  EXPECT_TRUE(outcome.out.ends_with("(near-ties in the reference: 1)\n")) << outcome.out;
  const Json two = Json::parse_file(file("two"));
  EXPECT_TRUE(two.at("same_output").boolean());
  EXPECT_EQ(two.at("near_ties").integer(), 1);
  EXPECT_TRUE(two.at("first_difference").at("at_near_tie").boolean());
}

TEST_F(Programs, BadReferenceFiles) {
  const std::filesystem::path elsewhere = temporary_root() / "references";
  std::filesystem::create_directories(elsewhere);
  const std::string reference = elsewhere / "one";
  ASSERT_EQ(run(CHAPTER_01_PROGRAM, {"--json", reference}).code, 0);
  const auto refused = [&](const Words& more, const std::string& part) {
    Words arguments = {"--model", model, "--ignore-eos", "--json", file("two"), "--reference"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    expect_refusal(CHAPTER_02_PROGRAM, arguments, part);
  };
  refused({reference, "--max-tokens", "8"}, "details.settings is not what this run uses");
  refused({reference, "--max-tokens", "9", "--prompt", "a blue kite"}, "prompt_token_ids is not what this run uses");
  refused({reference, "--max-tokens", "9", "--dtype", "bf16"}, "dtype is not what this run uses");
  refused({"no/such/file"}, "no/such/file: no such file");
  refused({model}, "is a folder, but must be a file");
  refused({model + "/model.safetensors"}, "not valid JSON");
  refused({model + "/config.json"}, "lacks the field \"chapter\"");
}

TEST_F(Programs, BadInput) {
  const std::string text = temporary_root() / "text";
  write_file(text, "A red kite.");
  const Words with_model = {"--model", model};
  const auto and_more = [&](Words words) {
    words.insert(words.end(), with_model.begin(), with_model.end());
    return words;
  };
  for (const char* program : {CHAPTER_01_PROGRAM, CHAPTER_02_PROGRAM, CHAPTER_03_PROGRAM, CHAPTER_04_PROGRAM,
                              CHAPTER_07_PROGRAM, LADDER_PROGRAM}) {
    expect_refusal(program, and_more({"--max-tokens", "0"}), "--max-tokens is \"0\"");
    expect_refusal(program, and_more({"--top-p", "2"}), "--top-p is \"2\"");
    expect_refusal(program, and_more({"--seed"}), "--seed");
    expect_refusal(program, and_more({"--frobnicate"}), "--frobnicate");
    expect_refusal(program, and_more({"--tokens", "1,x"}), "--tokens is \"1,x\"");
    expect_refusal(program, and_more({"--tokens", "1,600"}), "--tokens has the token id 600");
    expect_refusal(program, and_more({"--prompt", "a", "--tokens", "1"}), "exclude each other");
    expect_refusal(program, and_more({"--prompt", ""}), "--prompt is empty");
    expect_refusal(program, and_more({"--prompt", std::string(2000, 'x')}), "has room for 48");
    expect_refusal(program, and_more({"--json", file("no/such/folder")}), "--json is ");
    expect_refusal(program, and_more({"--json", folder.string()}), "a folder; name a file");
    expect_refusal(program, {"--model", "no/such/model"}, "--model is no/such/model");
    expect_refusal(program, {"--model", "random:no-such-shape"}, "no-such-shape");
    expect_refusal(program, and_more({"--device", "cuda"}), "--device");
  }
  expect_refusal(LADDER_PROGRAM, and_more({"--trace", file("t")}), "--trace belongs to one chapter");
  expect_refusal(PERPLEXITY_PROGRAM, with_model, "--text is missing");
  expect_refusal(PERPLEXITY_PROGRAM, and_more({"--text", "no/such/file"}), "no/such/file: no such file");
  expect_refusal(PERPLEXITY_PROGRAM, and_more({"--text", text, "--window", "49"}), "--window is 49");
  expect_refusal(PERPLEXITY_PROGRAM, and_more({"--text", text, "--window", "1"}), "--window is 1");
  expect_refusal(PERPLEXITY_PROGRAM, and_more({"--text", text, "--window", "8", "--stride", "8"}), "--stride is 8");
  expect_refusal(PERPLEXITY_PROGRAM, and_more({"--text", text, "--json", file("no/such/folder")}), "--json is ");
  expect_refusal(PERPLEXITY_PROGRAM, {"--text", text, "--model", "no/such/model"}, "--model is no/such/model");
  write_file(text, "<|endoftext|>\n\n");
  expect_refusal(PERPLEXITY_PROGRAM, and_more({"--text", text}), "has no token to score");
}

TEST_F(Programs, HelpIsASuccess) {
  for (const char* program : {CHAPTER_01_PROGRAM, CHAPTER_02_PROGRAM, CHAPTER_03_PROGRAM, CHAPTER_04_PROGRAM,
                              CHAPTER_07_PROGRAM, LADDER_PROGRAM, PERPLEXITY_PROGRAM}) {
    const Outcome outcome = run_process(program, {"--help"});
    EXPECT_EQ(outcome.code, 0);
    EXPECT_NE(outcome.out.find("--model"), std::string::npos);
    EXPECT_EQ(outcome.err, "");
  }
}

TEST_F(Programs, TheLadderRunsAllChaptersOnOnePrompt) {
  const Outcome outcome = run(LADDER_PROGRAM, {"--prompt", "red kite", "--json", file("ladder.json")});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("\nThe ladder\n"), std::string::npos);
  const Json json = Json::parse_file(file("ladder.json"));
  EXPECT_TRUE(json.at("machine").is_object());
  EXPECT_TRUE(json.at("commit").is_string() || json.at("commit").is_null());
  const Json chapters = json.at("chapters");
  ASSERT_GE(chapters.size(), 2u);
  for (size_t i = 0; i < chapters.size(); ++i) {
    EXPECT_GT(chapters.at(i).at("chapter").integer(), i == 0 ? 0 : chapters.at(i - 1).at("chapter").integer());
    EXPECT_EQ(chapters.at(i).at("token_ids").dump(), chapters.at(0).at("token_ids").dump());
    EXPECT_TRUE(chapters.at(i).at("same_output").boolean());
    EXPECT_NE(outcome.out.find(chapters.at(i).at("technique").string()), std::string::npos);
  }
}

TEST_F(Programs, PerplexityIsTheMeanLossOfTheDocuments) {
  const std::string text = file("text.txt");
  write_file(text, "A red kite.\n<|endoftext|>\nTom had a blue kite and a red one, and both were torn.\n");
  const Outcome outcome = run_process(PERPLEXITY_PROGRAM, {"--model", model, "--text", text, "--window", "12",
                                                           "--stride", "5", "--json", file("p.json")});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const LoadedModel loaded = load_model(model, DType::f32, Device::cpu);
  double sum = 0.0;
  size_t count = 0;
  for (const char* document : {"A red kite.", "Tom had a blue kite and a red one, and both were torn."}) {
    const std::vector<double> losses = token_losses(*loaded.transformer, loaded.tokenizer->encode(document), 12, 5);
    sum = std::accumulate(losses.begin(), losses.end(), sum);
    count += losses.size();
  }
  const Json json = Json::parse_file(file("p.json"));
  EXPECT_EQ(json.at("documents").integer(), 2);
  EXPECT_EQ(json.at("tokens").integer(), static_cast<int64_t>(count));
  EXPECT_EQ(json.at("window").integer(), 12);
  EXPECT_EQ(json.at("stride").integer(), 5);
  const double loss = sum / static_cast<double>(count);
  EXPECT_NEAR(json.at("loss").number(), loss, 1e-12);
  EXPECT_NEAR(json.at("perplexity").number(), std::exp(loss), 1e-9);
  EXPECT_NEAR(json.at("loss_per_byte").number(), sum / (11 + 54), 1e-12) << "of the documents, without separators";
}

// Weights of a real shape, no tokenizer: the ids are shown.
TEST_F(Programs, RandomWeights) {
  const Outcome outcome = run_process(CHAPTER_02_PROGRAM, {"--model", "random:llama2c-15m", "--max-tokens", "2",
                                                           "--dtype", "bf16", "--json", file("j")});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json json = Json::parse_file(file("j"));
  EXPECT_EQ(json.at("model").string(), "random:llama2c-15m");
  EXPECT_EQ(json.at("prompt_tokens").integer(), 16);
  EXPECT_EQ(json.at("text").string(), "");
}

}  // namespace
}  // namespace llm
