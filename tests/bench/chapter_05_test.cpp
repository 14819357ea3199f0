#include "tests/bench/programs.h"

#include "tests/support/gpu_device.h"

namespace llm {
namespace {

// The tiny model has 6 heads over 2 KV heads: it stands between itself with each head repeated, which says the
// same, and itself with one.
TEST_F(Programs, Chapter5) {
  const std::string text = file("text");
  write_file(text, "A red kite.\n<|endoftext|>\nTom had a blue kite and a red one, and both were torn.\n");
  const Outcome outcome = run(
      CHAPTER_05_PROGRAM, {"--tokens", "70,71,72,73,74,75", "--text", text, "--documents", "1", "--json", file("j")});
  ASSERT_EQ(outcome.code, 0) << outcome.out << outcome.err;
  const Json json = Json::parse_file(file("j")), details = json.at("details"), variants = details.at("variants");
  EXPECT_EQ(json.at("chapter").integer(), 5);
  EXPECT_TRUE(json.at("same_output").boolean());
  const int64_t head_bytes = 2 * 2 * 6 * 4;
  EXPECT_EQ(json.at("kv_bytes").integer(), 2 * head_bytes * 15);
  EXPECT_EQ(details.at("kv_budget_bytes").integer(), 4 * 6 * head_bytes * 16);
  ASSERT_EQ(variants.size(), 3u);
  const struct {
    const char* name;
    int64_t kv_heads, largest_batch;
  } expected[] = {{"MHA", 6, 4}, {"GQA", 2, 12}, {"MQA", 1, 24}};
  for (size_t i = 0; i < 3; ++i) {
    const Json variant = variants.at(i);
    EXPECT_EQ(variant.at("name").string(), expected[i].name);
    EXPECT_EQ(variant.at("kv_heads").integer(), expected[i].kv_heads);
    EXPECT_EQ(variant.at("kv_bytes_per_token").integer(), expected[i].kv_heads * head_bytes);
    EXPECT_EQ(variant.at("largest_batch").integer(), expected[i].largest_batch);
    EXPECT_EQ(variant.at("predicted_largest_batch").integer(), expected[i].largest_batch);
    EXPECT_TRUE(variant.at("same_output").boolean());
    EXPECT_FALSE(variant.at("uptrained").boolean());
    EXPECT_GT(variant.at("tokens_per_second").number(), 0.0);
    EXPECT_GT(variant.at("perplexity").number(), 1.0);
    EXPECT_EQ(variant.at("decode").size(), 4u);
  }
  EXPECT_EQ(variants.at(0).at("text").string(), variants.at(1).at("text").string());
  EXPECT_EQ(variants.at(0).at("perplexity").number(), variants.at(1).at("perplexity").number());
  EXPECT_NE(variants.at(2).at("perplexity").number(), variants.at(1).at("perplexity").number());
  EXPECT_EQ(json.at("text").string(), variants.at(1).at("text").string());

  // One head out of two: their mean is what the variant has.
  const Json conversions = details.at("conversions");
  ASSERT_EQ(conversions.size(), 3u);
  EXPECT_EQ(conversions.at(0).at("pooling").string(), "mean");
  EXPECT_EQ(conversions.at(0).at("perplexity").number(), variants.at(2).at("perplexity").number());
  EXPECT_NE(conversions.at(1).at("perplexity").number(), conversions.at(2).at("perplexity").number());
  EXPECT_EQ(details.at("eval").at("documents").integer(), 1);

  details.at("kernels").for_each([&](const Json& kernel) {
    EXPECT_LT(kernel.at("max_error").number(), 1e-2);
    EXPECT_TRUE(kernel.at("us").is_null());
    if (kernel.at("bytes_read").is_null()) return;  // a build that can't count
    EXPECT_GE(kernel.at("bytes_read").number(), kernel.at("predicted_bytes_read").number());
  });
  EXPECT_EQ(row(outcome.out, "llama-3-8b"), "GQA 32 32 8 128 131,072 524,288") << outcome.out;
  EXPECT_EQ(row(outcome.out, "MQA, 1 KV head: KV bytes per token"), "96 96");
  EXPECT_EQ(row(outcome.out, "texts of 15 tokens in 36.9 kB"), "no row texts of 15 tokens in 36.9 kB") << "indented";
}

TEST_F(Programs, Chapter5ConvertsAFolder) {
  const std::string converted = temporary_root() / "converted";
  const Outcome outcome = run(CHAPTER_05_PROGRAM, {"--convert", converted, "--kv-heads", "1", "--pool", "first"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, converted + ": " + model + " with 1 KV heads, first\n");
  const Json report_of_it = report(CHAPTER_02_PROGRAM, {"--model", converted, "--tokens", "3", "--max-tokens", "3"});
  EXPECT_EQ(report_of_it.at("details").at("kv_bytes_per_token").integer(), 2 * 2 * 6 * 4);
  EXPECT_TRUE(report_of_it.at("same_output").boolean());
  std::filesystem::remove(file("report"));
  expect_refusal(CHAPTER_05_PROGRAM, {"--model", model, "--convert", converted, "--kv-heads", "1"}, "there already");
  expect_refusal(CHAPTER_05_PROGRAM, {"--model", model, "--convert", file("c")}, "--convert lacks --kv-heads");
  expect_refusal(CHAPTER_05_PROGRAM, {"--model", model, "--convert", file("c"), "--kv-heads", "4"},
                 "--kv-heads is 4, but tiny has 6 heads and 2 KV heads; give one of 1, 2, 6");
  expect_refusal(CHAPTER_05_PROGRAM, {"--model", "random:llama-3-8b", "--convert", file("c"), "--kv-heads", "1"},
                 "is no folder to convert");
  expect_refusal(CHAPTER_05_PROGRAM, {"--model", model, "--pool", "max"}, "--pool");
  expect_refusal(CHAPTER_05_PROGRAM, {"--model", model, "--text", "no/such/file"}, "no/such/file: no such file");
}

// What differs from chapter 1 in one of the variants is found.
TEST_F(Programs, Chapter5ComparesTheModelAsItWasGiven) {
  write_changed_reference();
  EXPECT_EQ(run(CHAPTER_05_PROGRAM, {"--tokens", "3,4", "--reference", file("one"), "--json", file("j")}).code, 1);
  const Json json = Json::parse_file(file("j")), variants = json.at("details").at("variants");
  EXPECT_FALSE(json.at("same_output").boolean());
  EXPECT_TRUE(variants.at(0).at("same_output").boolean());
  EXPECT_FALSE(variants.at(1).at("same_output").boolean());
}

}  // namespace
}  // namespace llm
