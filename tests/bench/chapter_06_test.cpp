#include "tests/bench/programs.h"

#include "tests/support/gpu_device.h"

namespace llm {
namespace {

TEST_F(Programs, Chapter6) {
  const Outcome outcome =
      run_process(CHAPTER_06_PROGRAM,
                  {"--model", model, "--draft-model", model, "--tokens", "70,71,70,71,70", "--k", "3", "--max-tokens",
                   "25", "--ignore-eos", "--threads", "1", "--json", file("j"), "--trace", file("t")});
  ASSERT_EQ(outcome.code, 0) << outcome.out << outcome.err;
  EXPECT_NE(outcome.out.find("\n  same output as chapter 1: yes"), std::string::npos) << outcome.out;
  EXPECT_EQ(outcome.out.find('\x1b'), std::string::npos) << "no color where it is not asked for";
  const Json json = Json::parse_file(file("j")), details = json.at("details");
  EXPECT_EQ(json.at("chapter").integer(), 6);
  EXPECT_EQ(json.at("token_ids").size(), 25u);
  EXPECT_EQ(details.at("drafter").string(), "model");
  const int64_t drafted = details.at("drafted").integer(), accepted = details.at("accepted").integer();
  EXPECT_GT(accepted, 0) << "the model drafts for itself, in bf16";
  EXPECT_LE(accepted, drafted);
  EXPECT_LT(details.at("rounds").integer(), 24);
  EXPECT_NEAR(details.at("tokens_per_round").number(), 24.0 / details.at("rounds").number(), 1e-12);
  EXPECT_LE(details.at("acceptance_by_position").size(), 3u);
  EXPECT_GT(details.at("cost_ratio").number(), 0.0);
  EXPECT_GT(details.at("speedup").number(), 0.0);
  EXPECT_GT(details.at("speedup_predicted").number(), 0.0);
  EXPECT_EQ(details.at("by_k").size(), 8u);
  EXPECT_LT(details.at("distribution_distance").number(), details.at("distribution_limit").number());
  EXPECT_NE(outcome.out.find("\n  round 1: drafted ["), std::string::npos);

  // Row 1 of the trace: the rounds.
  int64_t rounds = 0, drafted_in_rounds = 0, accepted_in_rounds = 0;
  Json::parse_file(file("t")).at("traceEvents").for_each([&](const Json& event) {
    if (event.at("tid").integer() != 1 || event.at("name").string() != "round") return;
    ++rounds;
    drafted_in_rounds += static_cast<int64_t>(event.at("args").at("drafted").size());
    accepted_in_rounds += event.at("args").at("accepted").integer();
  });
  EXPECT_EQ(rounds, details.at("rounds").integer());
  EXPECT_EQ(drafted_in_rounds, drafted);
  EXPECT_EQ(accepted_in_rounds, accepted);

  // With a draft model that knows nothing, in color, sampled; and with nobody drafting.
  ModelConfig config = tiny_config("llama");
  config.vocab_size = 512;
  write_tiny_model(model + "-second", config, 2, "gpt2");
  const Outcome sampled =
      run(CHAPTER_06_PROGRAM, {"--tokens", "70,71", "--draft-model", model + "-second", "--color", "always",
                               "--temperature", "1.2", "--seed", "3", "--threads", "1", "--json", file("j")});
  ASSERT_EQ(sampled.code, 0) << sampled.out << sampled.err;
  EXPECT_NE(sampled.out.find("\x1b[31;9m"), std::string::npos) << "a rejected token is struck through";
  EXPECT_EQ(row(sampled.out, "compared with chapter 1"), "a greedy text");
  const Json alone = report(
      CHAPTER_06_PROGRAM, {"--model", model, "--tokens", "3", "--draft", "none", "--ignore-eos", "--max-tokens", "9"});
  EXPECT_EQ(alone.at("details").at("drafted").integer(), 0);
  EXPECT_EQ(alone.at("details").at("rounds").integer(), 8);
  EXPECT_TRUE(alone.at("details").at("speedup").is_null());
}

TEST_F(Programs, Chapter6Sweeps) {
  const Outcome outcome = run(CHAPTER_06_PROGRAM, {"--tokens", "3,4", "--draft-model", model, "--sweep", "--threads",
                                                   "1", "--json", file("j")});
  ASSERT_EQ(outcome.code, 0) << outcome.out << outcome.err;
  const Json sweep = Json::parse_file(file("j")).at("details").at("sweep");
  ASSERT_EQ(sweep.size(), 2u * 3u * 4u) << "drafters, temperatures, numbers of texts";
  EXPECT_EQ(sweep.at(3).at("texts").integer(), 8);
  EXPECT_EQ(sweep.at(23).at("drafter").string(), "ngram");
  EXPECT_EQ(sweep.at(0).at("by_k").at(5).at("k").integer(), 8);
}

TEST_F(Programs, Chapter6ComparesItsText) {
  write_changed_reference();
  EXPECT_EQ(run(CHAPTER_06_PROGRAM, {"--tokens", "3,4", "--reference", file("one"), "--json", file("j")}).code, 1);
  EXPECT_FALSE(Json::parse_file(file("j")).at("same_output").boolean());
}

TEST_F(Programs, Chapter6BadInput) {
  ModelConfig config = tiny_config("llama");
  config.vocab_size = 510;
  write_tiny_model(model + "-other", config, 1, "gpt2");
  const auto refused = [&](const Words& more, const std::string& part) {
    Words arguments = {"--model", model, "--tokens", "3,4", "--max-tokens", "9"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    expect_refusal(CHAPTER_06_PROGRAM, arguments, part);
  };
  refused({"--draft-model", model + "-other"}, "has 510 token ids, but");
  refused({"--draft-model", "no/such/model"}, "--draft-model is no/such/model, but there is no such folder");
  refused({"--draft", "model"}, "--draft is model, but --draft-model is missing");
  refused({"--draft", "ngram", "--draft-model", model}, "but --draft is ngram; leave one of them out");
  refused({"--draft", "oracle"}, "--draft");
  refused({"--k", "0"}, "--k is \"0\"");
  refused({"--ngram", "0"}, "--ngram is \"0\"");
}

// Random weights agree on nothing: acceptance is simulated, and called so.
TEST_F(Programs, Chapter6SimulatesAcceptanceOfRandomWeights) {
  const Outcome outcome = run_process(
      CHAPTER_06_PROGRAM, {"--model", "random:llama2c-15m", "--draft-model", "random:llama2c-15m", "--max-tokens", "6",
                           "--k", "2", "--threads", "1", "--dtype", "bf16", "--json", file("j")});
  ASSERT_EQ(outcome.code, 0) << outcome.out << outcome.err;
  EXPECT_NE(outcome.out.find("simulated acceptance"), std::string::npos) << outcome.out;
  const Json simulated = Json::parse_file(file("j")).at("details").at("simulated");
  ASSERT_EQ(simulated.size(), 3u);
  EXPECT_EQ(simulated.at(2).at("acceptance").number(), 0.8);
  EXPECT_GT(simulated.at(2).at("speedup").number(), 0.0);
}

}  // namespace
}  // namespace llm
