#include "tests/bench/programs.h"

#include "tests/support/gpu_device.h"

#include <map>

namespace llm {
namespace {

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
}

// Rows 1 and 2 of the trace show the samples' blocks: whoever compares one step's tables with the next one's finds the
// copies that the program counted.
TEST_F(Programs, Chapter3TracesBlocks) {
  ASSERT_EQ(run(CHAPTER_03_PROGRAM, {"--tokens", "70,71,72,73,74,75", "--block-size", "4", "--samples", "3", "--json",
                                     file("j"), "--trace", file("t")})
                .code,
            0);
  const Json details = Json::parse_file(file("j")).at("details");
  for (const auto& [row, what, num_steps] : {std::tuple{1, "samples", 9}, {2, "endings", 8}}) {
    std::map<int64_t, std::vector<int64_t>> tables;  // by sequence
    int64_t steps = 0, copies = 0, free_blocks = 0, num_blocks = 0;
    Json::parse_file(file("t")).at("traceEvents").for_each([&, row = row](const Json& event) {
      if (event.at("tid").integer() != row || event.at("ph").string() != "X") return;
      const Json args = event.at("args");
      EXPECT_EQ(args.has("prompt"), steps == 0);
      EXPECT_EQ(args.at("block_size").integer(), 4);
      EXPECT_EQ(args.at("sequences").size(), 3u);
      args.at("sequences").for_each([&](const Json& sequence) {
        std::vector<int64_t> table;
        sequence.at("block_table").for_each([&](const Json& block) { table.push_back(block.integer()); });
        const auto& before = tables[sequence.at("id").integer()];
        for (size_t b = 0; b < before.size(); ++b) copies += table.at(b) != before[b];
        EXPECT_EQ(std::ssize(table), (sequence.at("length").integer() + 3) / 4);
        tables[sequence.at("id").integer()] = table;
      });
      free_blocks = args.at("free_blocks").integer();
      num_blocks = args.at("num_blocks").integer();
      ++steps;
    });
    EXPECT_EQ(steps, num_steps) << what;
    EXPECT_EQ(copies, details.at(what).at("blocks_copied").integer()) << what;
    EXPECT_EQ(num_blocks - free_blocks, details.at(what).at("blocks").integer()) << what;
  }
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
  EXPECT_NE(ladder.out.find("  NO\n\n  what each chapter is about"), std::string::npos) << ladder.out;
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

}  // namespace
}  // namespace llm
