#include "tests/bench/programs.h"

#include "tests/support/gpu_device.h"

namespace llm {
namespace {

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
    int64_t busy = 0;
    run.at("busy_slots").for_each([&](const Json& slots) { busy += slots.integer(0, 2); });
    EXPECT_EQ(run.at("busy_slots").size(), static_cast<size_t>(steps[key]));
    EXPECT_EQ(busy, run.at("slot_steps").integer() - run.at("idle_slot_steps").integer());
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

// The first request's text is compared with chapter 1's, which knows no stop strings, as far as it goes.
TEST_F(Programs, Chapter7ComparesATextThatAStopStringEnded) {
  const std::filesystem::path requests = temporary_root() / "stop.jsonl";
  const auto serve = [&](const Json& request) {
    write_file(requests, request.dump(-1));
    const Outcome outcome = run_process(
        CHAPTER_07_PROGRAM, {"--model", model, "--requests", requests, "--results", file("r"), "--json", file("j")});
    EXPECT_EQ(outcome.code, 0) << outcome.out << outcome.err;
    return Json::parse_file(file("r"));
  };
  Json request = Json::object().set("id", "a").set("prompt", "Tom had a").set("max_tokens", 12).set("ignore_eos", true);
  const std::string whole = serve(request).at("text").string();
  ASSERT_GE(whole.size(), 10u);
  const std::string stop = whole.substr(6, 3);
  const Json stopped = serve(request.set("stop", stop));
  EXPECT_EQ(stopped.at("text").string(), whole.substr(0, whole.find(stop)));
  EXPECT_EQ(stopped.at("finish_reason").string(), "stop");
  EXPECT_TRUE(Json::parse_file(file("j")).at("same_output").boolean());
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

}  // namespace
}  // namespace llm
