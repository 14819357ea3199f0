#include "tests/bench/programs.h"

#include <numeric>

#include "chapters/01_naive_generation/perplexity.h"
#include "common/program/loaded_model.h"
#include "tests/support/gpu_device.h"

namespace llm {
namespace {

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
  for (const char* program : kChapterPrograms) {
    const Words arguments = {"--model", terse, "--tokens", "3", "--max-tokens", "5"};
    const Json stopped = report(program, arguments);
    EXPECT_EQ(stopped.at("token_ids").size(), 1u) << program;
    EXPECT_EQ(stopped.at("details").at("finish_reason").string(), "stop");
  }
  const Json on = report(CHAPTER_02_PROGRAM, {"--model", terse, "--tokens", "3", "--max-tokens", "5", "--ignore-eos"});
  EXPECT_EQ(on.at("token_ids").size(), 5u) << "as everywhere else in these tests";
}

// The second of two tokens needs no more reading than the first, and at most twice the operations.
TEST_F(Programs, PredictionsAreForOneToken) {
  for (const char* program :
       {CHAPTER_01_PROGRAM, CHAPTER_02_PROGRAM, CHAPTER_03_PROGRAM, CHAPTER_04_PROGRAM, CHAPTER_05_PROGRAM}) {
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
  for (const char* program : kChapterPrograms) {
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
  for (const char* program : kChapterPrograms) {
    // Rounds take other random numbers than single tokens do: the same distribution, another text.
    if (program == std::string_view(CHAPTER_06_PROGRAM)) continue;
    const bool early = program == kChapterPrograms[0] || program == kChapterPrograms[1];
    for (const char* threads : early ? std::vector{"1", "2", "3"} : std::vector{"3"}) {
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
  Words programs(std::begin(kChapterPrograms), std::end(kChapterPrograms));
  programs.push_back(LADDER_PROGRAM);
  for (const std::string& program : programs) {
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
  Words programs(std::begin(kChapterPrograms), std::end(kChapterPrograms));
  programs.insert(programs.end(), {LADDER_PROGRAM, PERPLEXITY_PROGRAM});
  for (const std::string& program : programs) {
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
  EXPECT_NE(outcome.out.find("\n  8 prompt tokens found in the cache "), std::string::npos) << outcome.out;
  const Json json = Json::parse_file(file("ladder.json"));
  EXPECT_TRUE(json.at("machine").is_object());
  EXPECT_TRUE(json.at("commit").is_string() || json.at("commit").is_null());
  const Json chapters = json.at("chapters");
  ASSERT_GE(chapters.size(), 2u);
  for (size_t i = 0; i < chapters.size(); ++i) {
    EXPECT_EQ(chapters.at(i).at("chapter").integer(), static_cast<int64_t>(i) + 1);
    EXPECT_EQ(chapters.at(i).at("token_ids").dump(), chapters.at(0).at("token_ids").dump());
    EXPECT_TRUE(chapters.at(i).at("same_output").boolean());
    EXPECT_NE(outcome.out.find(chapters.at(i).at("technique").string()), std::string::npos);
  }
}

TEST_F(Programs, TheLongLadderSaysWhatItHadNoTimeFor) {
  const Outcome outcome = run_process(LADDER_PROGRAM, {"--long", "--minutes", "0", "--json", file("long.json")});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("time was over before its turn"), std::string::npos) << outcome.out;
  const Json json = Json::parse_file(file("long.json"));
  EXPECT_TRUE(json.at("machine").is_object());
  EXPECT_GE(json.at("rows").size(), 42u) << "eight chapters in five cases, and two in one";
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
