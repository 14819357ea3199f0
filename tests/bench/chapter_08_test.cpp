#include "tests/bench/programs.h"
#include "tests/support/gpu_device.h"

namespace llm {
namespace {

class Chapter8 : public Programs {
 protected:
  static Outcome run(const Words& more) { return Programs::run(CHAPTER_08_PROGRAM, more); }
  Json details_of(Words more) const {
    more.insert(more.end(), {"--json", file("j")});
    const Outcome outcome = run(more);
    EXPECT_EQ(outcome.code, 0) << outcome.out << outcome.err;
    return Json::parse_file(file("j")).at("details");
  }
  void refused(Words more, const std::string& part) const {
    more.insert(more.end(), {"--model", model, "--max-tokens", "9"});
    expect_refusal(CHAPTER_08_PROGRAM, more, part);
  }
};

TEST_F(Chapter8, Runs) {
  const Outcome outcome = run({"--tokens", "70,71", "--block-size", "4", "--json", file("j"), "--trace", file("t"),
                               "--results", file("r"), "--step-log", file("s")});
  ASSERT_EQ(outcome.code, 0) << outcome.out << outcome.err;
  EXPECT_NE(outcome.out.find("\n  same output as chapter 1: yes"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("\n  agent with tools "), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("\n  a space at a seam "), std::string::npos) << outcome.out;
  const Json json = Json::parse_file(file("j")), details = json.at("details");
  EXPECT_EQ(json.at("chapter").integer(), 8);
  EXPECT_EQ(json.at("kv_bytes").integer(), 3 * 4 * 2 * 2 * 2 * 6 * 4) << "10 tokens in blocks of 4";
  EXPECT_EQ(details.at("num_blocks").integer(), 4 * 12);
  EXPECT_EQ(details.at("probe_prompt_tokens").integer(), 36);
  EXPECT_EQ(details.at("probe_cached_tokens").integer(), 32);
  EXPECT_GT(details.at("ttft_ms_cold").number(), 0.0);
  EXPECT_GT(details.at("ttft_ms_warm").number(), 0.0);
  // 21 prompts of five loads; what was cached, written and computed afresh is all of them.
  const int64_t cached = details.at("cached_tokens").integer(), written = details.at("written_tokens").integer();
  const int64_t fresh = details.at("fresh_tokens").integer();
  EXPECT_EQ(details.at("prompt_tokens").integer(), cached + written + fresh);
  EXPECT_GT(cached, 300);
  EXPECT_LE(cached, details.at("predicted_cached_tokens").integer()) << "evictions cost some";
  EXPECT_DOUBLE_EQ(details.at("hit_rate").number(),
                   static_cast<double>(cached) / static_cast<double>(cached + written + fresh));
  EXPECT_DOUBLE_EQ(details.at("price").number(), (0.1 * static_cast<double>(cached) +
                                                  1.25 * static_cast<double>(written) + static_cast<double>(fresh)) /
                                                     static_cast<double>(cached + written + fresh));
  EXPECT_EQ(details.at("bytes_not_computed").integer(), cached * 2 * 2 * 2 * 6 * 4);
  EXPECT_GT(details.at("evictions").integer(), 0);
  EXPECT_EQ(details.at("requests").integer(), 21);
  EXPECT_TRUE(details.at("requests_same_output").boolean());
  EXPECT_EQ(details.at("loads").size(), 5u);
  EXPECT_EQ(details.at("loads").at(4).at("cached_tokens").integer(), 0) << "nothing in common";
  EXPECT_GT(Json::parse_file(file("t")).at("traceEvents").size(), 9u);
  // The text, the probe's 6 and the loads' 21 requests.
  const std::string results = read_file(file("r"));
  EXPECT_EQ(std::count(results.begin(), results.end(), '\n'), 28);
  EXPECT_NE(read_file(file("s")).find("\"free_blocks\""), std::string::npos);
}

TEST_F(Chapter8, SweepsTheCachedShare) {
  const Json details = details_of({"--tokens", "70,71", "--block-size", "4", "--sweep"}), sweep = details.at("sweep");
  std::vector<int64_t> cached;
  sweep.for_each([&](const Json& row) {
    cached.push_back(row.at("cached_tokens").integer());
    EXPECT_EQ(row.at("prompt_tokens").integer(), 36);
    EXPECT_GT(row.at("ttft_ms_cold").number(), 0.0);
    EXPECT_GT(row.at("ttft_ms_warm").number(), 0.0);
    EXPECT_LE(row.at("warm_through_cold_predicted").number(), 1.0);
  });
  // Whole blocks of 4; what follows the shared part may begin alike as well.
  const std::vector<int64_t> shared = {0, 3, 9, 18, 27, 32, 34};
  ASSERT_EQ(cached.size(), shared.size());
  for (size_t i = 0; i < shared.size(); ++i) {
    EXPECT_EQ(cached[i] % 4, 0);
    EXPECT_NEAR(static_cast<double>(cached[i]), static_cast<double>(shared[i]), 3.0);
  }
  EXPECT_DOUBLE_EQ(sweep.at(0).at("warm_through_cold_predicted").number(), 1.0);
}

TEST_F(Chapter8, WithoutACacheAndWithOtherRules) {
  const Json off = details_of({"--tokens", "3", "--block-size", "4", "--prefix-cache", "off"});
  EXPECT_EQ(off.at("cached_tokens").integer(), 0);
  EXPECT_EQ(off.at("written_tokens").integer(), 0);
  EXPECT_DOUBLE_EQ(off.at("price").number(), 1.0);
  const Json on = details_of({"--tokens", "3", "--block-size", "4"});
  const Json breakpoints = details_of({"--tokens", "3", "--block-size", "4", "--cache-mode", "breakpoints"});
  EXPECT_GT(breakpoints.at("cached_tokens").integer(), 0);
  EXPECT_LE(breakpoints.at("cached_tokens").integer(), on.at("cached_tokens").integer());
  const Json impatient = details_of({"--tokens", "3", "--block-size", "4", "--ttl", "59"});
  EXPECT_LT(impatient.at("cached_tokens").integer(), on.at("cached_tokens").integer()) << "a minute between turns";
  const Json large = details_of({"--tokens", "3", "--block-size", "4", "--min-prompt", "40"});
  EXPECT_GT(large.at("requests_too_short").integer(), 0);
  for (const Words& more :
       {Words{"--dtype", "bf16"}, {"--temperature", "1.3", "--seed", "4"}, {"--token-budget", "7"}}) {
    Words arguments = {"--tokens", "3,4,5", "--block-size", "2"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    EXPECT_GT(details_of(arguments).at("cached_tokens").integer(), 0) << more[0];
  }
}

TEST_F(Chapter8, ServesAFileOfRequests) {
  write_file(file("requests.jsonl"),
             R"({"id": "a", "prompt_token_ids": [1,2,3,4,5,6,7,8,9]}
{"id": "b", "arrival_step": 3, "prompt_token_ids": [1,2,3,4,5,6,7,8,10,11]}
{"id": "c", "arrival_step": 3, "prompt_token_ids": [1,2,3,4,5,6,7,8,10,11], "salt": "another"}
)");
  const Json details =
      details_of({"--tokens", "3", "--block-size", "4", "--requests", file("requests.jsonl"), "--results", file("r")});
  EXPECT_EQ(details.at("requests").integer(), 3);
  EXPECT_EQ(details.at("cached_tokens").integer(), 8);
  EXPECT_EQ(details.at("predicted_cached_tokens").integer(), 8);
  const std::string results = read_file(file("r"));
  EXPECT_NE(results.find("\"cached_tokens\":8"), std::string::npos) << results;
}

TEST_F(Chapter8, ComparesTwoPrompts) {
  write_file(file("second"), "red ball");
  const Outcome outcome = run({"--prompt", "red kite", "--compare-file", file("second"), "--block-size", "1"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(outcome.out.starts_with("  text:   4 bytes agree, of 8 and 8\n    \"red \", then\n      \"kite\"\n"))
      << outcome.out;
  EXPECT_NE(outcome.out.find("\n  blocks: "), std::string::npos) << outcome.out;
  EXPECT_EQ(outcome.out.find("time to first token"), std::string::npos) << "and runs nothing";
}

// Every word of chapter 1's is compared.
TEST_F(Chapter8, FindsADifference) {
  write_changed_reference();
  EXPECT_EQ(run({"--tokens", "3,4", "--reference", file("one")}).code, 1);
}

TEST_F(Chapter8, OnTheSimulator) {
  LLM_SKIP_WITHOUT(Device::simt);
  const Outcome outcome =
      run_process(CHAPTER_08_PROGRAM, {"--model", model, "--tokens", "3", "--max-tokens", "2", "--device", "simt",
                                       "--block-size", "1", "--load-length", "5"});
  EXPECT_EQ(outcome.code, 0) << outcome.out << outcome.err;
  EXPECT_EQ(outcome.out.find("nan"), std::string::npos) << outcome.out;
}

TEST_F(Chapter8, BadInput) {
  refused({"--block-size", "12"}, "--block-size is 12, but must be a power of two");
  refused({"--prefix-cache", "maybe"}, "--prefix-cache is \"maybe\"");
  refused({"--ttl", "-1"}, "--ttl is \"-1\"");
  refused({"--read-price", "1"}, "--read-price is \"1\"");
  refused({"--scheduler", "static"}, "--scheduler is static, but a static batch has no prompt cache");
  refused({"--tokens", "3", "--num-blocks", "2"},
          "--num-blocks is 2, but the longest text takes 3 blocks of 16 tokens");
  refused({"--compare-file", file("nowhere")}, "nowhere: no such file");
  refused({"--requests", file("nowhere")}, "nowhere: no such file");
  expect_refusal(CHAPTER_08_PROGRAM, {"--model", "random:llama2c-15m", "--compare", "x"},
                 "--compare is text, but random:llama2c-15m has no tokenizer");
}

}  // namespace
}  // namespace llm
