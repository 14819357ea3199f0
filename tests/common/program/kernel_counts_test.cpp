#include "common/program/kernel_counts.h"

#include <gtest/gtest.h>

#include "common/ops/ops.h"
#include "common/program/report.h"
#include "common/program/token_stream.h"
#include "tests/support/gpu_device.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_model.h"

namespace llm {
namespace {

class KernelCounts : public testing::Test {
 protected:
  void SetUp() override { LLM_SKIP_WITHOUT(Device::simt); }

  // RMSNorm of 3 rows of 64. Reads 64 numbers of x and 64 weights a row: 1,536 bytes in 48 sectors; writes 3 · 64: 768
  // bytes in 24. One barrier a row.
  static void work() {
    const Tensor x({3, 64}, DType::f32, Device::simt), weight({64}, DType::f32, Device::simt);
    ops_for(Device::simt).add_rmsnorm(x, {}, weight, 1e-5f, Tensor({3, 64}, DType::f32, Device::simt));
  }

  // What a report of `tokens` after two of prompt prints and writes to --json.
  static std::pair<std::string, Json> report(Device device, int tokens) {
    const LoadedModel model{"tiny", tiny_transformer(tiny_config("llama"), 1), nullptr};
    Options options;
    options.device = device;
    options.json = temporary_folder() / "report.json";
    Generation generation({7, 8}, model.config(), {tokens, true, {}});
    const Tensor logits({1, model.config().vocab_size}, DType::f32);
    std::fill_n(logits.view().as<float>(), model.config().vocab_size, 0.0f);
    while (!generation.finished()) generation.sample(logits, 1);
    Report report({2, "KV cache"}, model, options);
    report.add_generation(generation, 1, 1.0, 1.0);
    report.compare(generation.token_ids(), generation.top_gaps());
    testing::internal::CaptureStdout();
    EXPECT_EQ(report.finish(), 0);
    std::fflush(stdout);
    return {testing::internal::GetCapturedStdout(), Json::parse_file(options.json)};
  }

  // The cells of the line that begins with `what`, one space between them.
  static std::string row(const std::string& text, const std::string& what) {
    const size_t begin = text.find("\n  " + what);
    if (begin == std::string::npos) return "no row " + what + " in\n" + text;
    std::istringstream cells(text.substr(begin, text.find('\n', begin + 1) - begin));
    std::string line;
    for (std::string cell; cells >> cell;) line += (line.empty() ? "" : " ") + cell;
    return line;
  }
};

#if defined(__SANITIZE_ADDRESS__)

TEST_F(KernelCounts, ABuildThatCanNotTellSaysSo) {
  start_kernel_counts(Device::simt);
  work();
  const auto [text, json] = report(Device::simt, 1);
  EXPECT_TRUE(
      text.ends_with("\nwhat the kernels read and wrote was not counted: a build with AddressSanitizer can't; "
                     "a release or debug build can\n"))
      << text;
  EXPECT_TRUE(json.at("details").at("simt").is_null());
}

#else

TEST_F(KernelCounts, StandBelowTheReport) {
  start_kernel_counts(Device::simt);
  work();
  work();
  stop_kernel_counts();
  work();
  const auto [text, json] = report(Device::simt, 3);
  EXPECT_LT(text.find("same output as chapter 1"), text.find("global memory, before any cache"));
  EXPECT_EQ(row(text, "add_rmsnorm_kernel"), "add_rmsnorm_kernel<float, 4, 1> 2 6 3.07 kB 96 1.54 kB 48");
  EXPECT_EQ(row(text, "all kernels"), "all kernels 2 6 3.07 kB 96 1.54 kB 48");

  // Steps with 2, 3 and 4 tokens before them, each with 2 layers · 2 KV heads · head_dim 6, K and V, of 4 bytes.
  const int64_t weights = static_cast<int64_t>(tiny_transformer(tiny_config("llama"), 1)->weights().bytes_per_step());
  const int64_t predicted = 3 * weights + (2 + 3 + 4) * 2 * 2 * 2 * 6 * 4;
  EXPECT_EQ(row(text, "predicted"),
            fmt::format("predicted: weights, keys and values once a step {} {}",
                        format_bytes(static_cast<double>(predicted)), format_count((predicted + 16) / 32)));

  const Json counts = json.at("details").at("simt");
  EXPECT_EQ(counts.at("predicted_bytes_read").integer(), predicted);
  EXPECT_EQ(counts.at("kernels").dump(-1),
            R"([{"name":"add_rmsnorm_kernel<float, 4, 1>","launches":2,"blocks":6,"barriers":6,"bytes_read":3072,)"
            R"("sectors_read":96,"bytes_written":1536,"sectors_written":48}])");
}

TEST_F(KernelCounts, AreSummed) {
  start_kernel_counts(Device::simt);
  work();
  const Tensor x({2, 32}, DType::f32, Device::simt);
  ops_for(Device::simt).sum_rows(x, Tensor({2}, DType::f32, Device::simt));
  const auto [text, json] = report(Device::simt, 1);
  std::map<std::string, int64_t> sum;
  json.at("details").at("simt").at("kernels").for_each([&](const Json& kernel) {
    kernel.for_each_item([&](const std::string& key, const Json& value) {
      if (value.is_number()) sum[key] += value.integer();
    });
  });
  EXPECT_EQ(sum["launches"], 2);
  EXPECT_GT(sum["barriers"], 0);
  EXPECT_EQ(row(text, "all kernels"),
            fmt::format("all kernels {} {} {} {} {} {}", sum["launches"], sum["barriers"],
                        format_bytes(static_cast<double>(sum["bytes_read"])), sum["sectors_read"],
                        format_bytes(static_cast<double>(sum["bytes_written"])), sum["sectors_written"]));
}

TEST_F(KernelCounts, BeginWithTheLoadedModelAndEndWithTheText) {
  work();
  Options options;
  options.device = Device::simt;
  const LoadedModel model = load_model(options);
  EXPECT_EQ(model.name, "models/stories-draft");
  TokenStream stream(model, {});
  work();
  testing::internal::CaptureStdout();
  stream.finish();
  testing::internal::GetCapturedStdout();
  work();
  Json details = Json::object();
  describe_kernel_counts(1.0, details);
  ASSERT_EQ(details.at("simt").at("kernels").size(), 1u);
  EXPECT_EQ(details.at("simt").at("kernels").at(size_t{0}).at("launches").integer(), 1);
}

#endif

TEST_F(KernelCounts, AreOfSimtAlone) {
  start_kernel_counts(Device::cpu);
  work();
  const auto [text, json] = report(Device::cpu, 1);
  EXPECT_EQ(text.find("global memory"), std::string::npos);
  EXPECT_FALSE(json.at("details").has("simt"));
  Json details = Json::object();
  describe_kernel_counts(1.0, details);
  EXPECT_TRUE(details.at("simt").is_null() || details.at("simt").at("kernels").size() == 0);
}

}  // namespace
}  // namespace llm
