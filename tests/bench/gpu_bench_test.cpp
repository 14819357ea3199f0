// The GPU's benchmarks on tiny shapes, on the simulator and, where there is one, on a GPU: that each part checks what
// it times, and writes all its numbers.
#include <gtest/gtest.h>

#include "bench/gpu/bench_gpu.h"
#include "tests/support/expect_close.h"
#include "tests/support/gpu_device.h"
#include "tests/support/process.h"
#include "tests/support/tiny_model.h"

namespace llm {
namespace {

class GpuBenchTest : public testing::TestWithParam<Device> {
 protected:
  void SetUp() override {
    LLM_SKIP_WITHOUT(GetParam());
    folder = temporary_folder();
  }

  Json run(std::vector<std::string> arguments) const {
    const std::string json = folder / "part.json";
    arguments.insert(arguments.end(), {"--quick", "--device", name_of(GetParam()), "--json", json});
    const Outcome outcome = run_process(BENCH_GPU_PROGRAM, arguments);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return Json::parse_file(json);
  }

  // A summary's numbers are in order, and not zero.
  static void expect_summary(const Json& summary) {
    const double least = summary.at("min").number(), middle = summary.at("median").number();
    EXPECT_GT(least, 0.0);
    EXPECT_LE(least, middle);
    EXPECT_LE(middle, summary.at("max").number());
    EXPECT_GE(summary.at("repetitions").integer(), 2);
  }

  std::filesystem::path folder;
};

TEST_P(GpuBenchTest, Memory) {
  const Json memory = run({"--part", "memory"}).at("memory");
  ASSERT_EQ(memory.size(), 2u);
  const auto bytes_moved = [&](size_t i) {
    return memory.at(i).at("bytes_per_second").number() * memory.at(i).at("us").at("median").number() / 1e6;
  };
  const double buffer = memory.at(0).at("buffer_bytes").number();
  EXPECT_EQ(memory.at(0).at("what").string(), "copy");
  EXPECT_NEAR(bytes_moved(0), 2.0 * buffer, 1e-6 * buffer) << "both directions";
  EXPECT_EQ(memory.at(1).at("what").string(), "read");
  EXPECT_NEAR(bytes_moved(1), buffer, 1e-6 * buffer);
}

TEST_P(GpuBenchTest, Products) {
  const Json matvec = run({"--part", "matvec"}).at("matvec"), matrix = run({"--part", "matrix"}).at("matrix");
  EXPECT_EQ(matvec.size(), 3u);
  matvec.for_each([](const Json& row) {
    expect_summary(row.at("ours_us"));
    expect_summary(row.at("cublas_us"));
    EXPECT_EQ(row.at("rows").integer(), 1);
    EXPECT_EQ(row.at("weight_bytes").integer(), 2 * row.at("out_features").integer() * row.at("in_features").integer());
    EXPECT_NEAR(row.at("bytes_per_second").number() * row.at("ours_us").at("median").number(),
                1e6 * row.at("weight_bytes").number(), 1.0);
  });
  std::vector<int64_t> few;
  run({"--part", "few_rows"}).at("few_rows").for_each([&](const Json& row) {
    few.push_back(row.at("rows").integer());
    expect_summary(row.at("ours_us"));
    expect_summary(row.at("cublas_us"));
  });
  EXPECT_EQ(few, (std::vector<int64_t>{2, 3, 8}));
  ASSERT_EQ(matrix.size(), 1u);
  EXPECT_NEAR(matrix.at(0).at("flops_per_second").number() * matrix.at(0).at("ours_us").at("median").number(),
              1e6 * 2.0 * 33 * 31 * 40, 1.0);
}

TEST_P(GpuBenchTest, Operators) {
  const Json json = run({"--part", "operators"});
  EXPECT_EQ(json.at("attention").size(), 2u);
  json.at("attention").for_each([](const Json& row) { expect_summary(row.at("us")); });
  std::vector<std::string> names;
  json.at("operators").for_each([&](const Json& row) {
    names.push_back(row.at("name").string());
    expect_summary(row.at("us"));
  });
  EXPECT_EQ(names, (std::vector<std::string>{"embed", "add_rmsnorm", "rope_and_store", "argmax"}));
}

TEST_P(GpuBenchTest, StepsForTheProfiler) {
  const Json dram = run({"--part", "dram"}).at("dram");
  ASSERT_EQ(dram.size(), 3u);
  EXPECT_EQ(dram.at(0).at("step").string(), "standard_attention");
  EXPECT_EQ(dram.at(2).at("least_bytes_read").integer(), 3 * 33 * 16 * 64 * 2);
  EXPECT_EQ(dram.at(2).at("least_bytes_written").integer(), 33 * 16 * 64 * 2);
}

TEST_P(GpuBenchTest, Flash) {
  const Json json = run({"--part", "flash"});
  std::vector<std::string> names;
  json.at("flash").for_each([&](const Json& row) {
    names.push_back(row.at("step").string());
    expect_summary(row.at("us"));
    EXPECT_EQ(row.at("flops").number(), 4.0 * 2 * 32 * 33 * 33);
    EXPECT_NEAR(row.at("flops_per_second").number() * row.at("us").at("median").number(),
                1e6 * row.at("flops").number(), 1.0);
  });
  EXPECT_EQ(names, (std::vector<std::string>{"standard_attention", "flash_attention_1", "flash_attention_2"}));
  ASSERT_EQ(json.at("flash_decoding").size(), 1u);
  const Json decoding = json.at("flash_decoding").at(size_t{0});
  EXPECT_EQ(decoding.at("kv_bytes").number(), 2.0 * 33 * 2 * 32 * 2);
  EXPECT_EQ(decoding.at("block_size").integer(), 16);
  expect_summary(decoding.at("us"));
}

TEST_P(GpuBenchTest, Grouped) {
  const Json json = run({"--part", "grouped"});
  std::vector<std::string> names;
  json.at("grouped_attention").for_each([&](const Json& row) {
    names.push_back(row.at("step").string());
    EXPECT_EQ(row.at("kv_bytes").number(), 2.0 * 33 * 2 * 64 * 2);
    expect_summary(row.at("us"));
  });
  EXPECT_EQ(names, (std::vector<std::string>{"expanded", "per_head", "grouped", "tensor"}));
  ASSERT_EQ(json.at("grouped_decode").size(), 1u);
  const Json decode = json.at("grouped_decode").at(size_t{0});
  EXPECT_EQ(decode.at("heads").integer(), 6);
  EXPECT_EQ(decode.at("kv_heads").integer(), 2);
  EXPECT_GT(decode.at("tokens_per_second").number(), 0.0);
}

TEST_P(GpuBenchTest, Model) {
  const std::string model = folder / "tiny";
  ModelConfig config = tiny_config("llama");
  config.vocab_size = 512;  // as many as the tokenizer has
  write_tiny_model(model, config, 1, "gpt2");
  for (const char* dtype : {"f32", "bf16"}) {
    const Json json = run({"--part", "model", "--model", model, "--dtype", dtype});
    for (const char* list : {"decode", "prefill", "naive", "loading", "prompt_cache"}) {
      ASSERT_EQ(json.at(list).size(), 1u) << list;
      EXPECT_EQ(json.at(list).at(0).at("model").string(), model);
      EXPECT_EQ(json.at(list).at(0).at("dtype").string(), dtype);
    }
    const Json decode = json.at("decode").at(0);
    expect_summary(decode.at("tokens_per_second"));
    expect_summary(decode.at("step_ms"));
    EXPECT_EQ(decode.at("step_ms").at("repetitions").integer(), 4) << "two runs of two steps";
    EXPECT_GT(decode.at("bytes_per_token").number(), json.at("loading").at(0).at("bytes_per_step").number());
    expect_summary(json.at("prefill").at(0).at("ttft_ms"));
    expect_summary(json.at("naive").at(0).at("tokens_per_second"));
    const Json prompt = json.at("prompt_cache").at(0);
    EXPECT_EQ(prompt.at("prompt_len").integer(), 11);
    EXPECT_EQ(prompt.at("cached_tokens").integer(), 8);
    for (const char* times : {"cold_ttft_ms", "warm_ttft_ms", "cold_step_ms", "warm_step_ms"}) {
      expect_summary(prompt.at(times));
    }
  }
}

TEST_P(GpuBenchTest, Speculation) {
  const std::string model = folder / "tiny";
  write_tiny_model(model, tiny_config("llama"), 1, "gpt2");
  const Json rows = run({"--part", "speculation", "--model", model, "--draft-model", model}).at("speculation");
  ASSERT_EQ(rows.size(), 3u);
  rows.for_each([](const Json& row) {
    EXPECT_EQ(row.at("k").integer(), 2);
    EXPECT_GT(row.at("cost_ratio").number(), 0.0);
    EXPECT_GT(row.at("verify_ratio").number(), 0.0);
    EXPECT_GT(row.at("speedup").number(), 0.0);
    EXPECT_GE(row.at("tokens_per_round").number(), 1.0);
  });
  EXPECT_EQ(rows.at(1).at("simulated_acceptance").number(), 0.7);
}

TEST_P(GpuBenchTest, BatchSizes) {
  const std::string model = folder / "tiny";
  write_tiny_model(model, tiny_config("llama"), 1, "gpt2");
  const Json json = run({"--part", "batch_sizes", "--model", model});
  ASSERT_EQ(json.at("batch_sizes").size(), 2u);
  const Json one = json.at("batch_sizes").at(size_t{0}), three = json.at("batch_sizes").at(1);
  EXPECT_EQ(three.at("batch_size").integer(), 3);
  EXPECT_DOUBLE_EQ(three.at("flops").number(), 3.0 * one.at("flops").number());
  EXPECT_LT(three.at("bytes").number(), 1.2 * one.at("bytes").number()) << "the weights are read once";
  EXPECT_GT(three.at("intensity").number(), 2.0 * one.at("intensity").number());
  expect_summary(three.at("step_ms"));
}

TEST_P(GpuBenchTest, Batching) {
  const std::string model = folder / "tiny";
  write_tiny_model(model, tiny_config("llama"), 1, "gpt2");
  const Json json = run({"--part", "batching", "--model", model});
  std::vector<std::string> schedules;
  json.at("serving").for_each([&](const Json& row) {
    schedules.push_back(row.at("schedule").string());
    EXPECT_GT(row.at("run").at("tokens_per_second").number(), 0.0);
  });
  EXPECT_EQ(schedules, (std::vector<std::string>{"static", "static_skipping", "continuous", "one_by_one"}));
  ASSERT_EQ(json.at("batch_flips").size(), 1u);
  const Json flips = json.at("batch_flips").at(size_t{0});
  EXPECT_EQ(flips.at("texts").integer(), 4);
  EXPECT_EQ(flips.at("example").is_null(), flips.at("changed").integer() == 0);
}

TEST_P(GpuBenchTest, Requests) {
  const std::string model = folder / "tiny";
  write_tiny_model(model, tiny_config("llama"), 1, "gpt2");
  const std::string requests = folder / "requests.jsonl";
  write_file(requests, "{\"id\": \"a\", \"prompt_token_ids\": [3, 4], \"max_tokens\": 3, \"ignore_eos\": true}\n");
  const Json rows = run({"--part", "requests", "--model", model, "--requests", requests}).at("requests");
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows.at(size_t{0}).at("token_ids").at("a").size(), 3u);
  expect_summary(rows.at(size_t{0}).at("tokens_per_second"));
}

INSTANTIATE_TEST_SUITE_P(Devices, GpuBenchTest, testing::Values(Device::simt, Device::cuda),
                         [](const auto& test) { return std::string(name_of(test.param)); });

TEST(GpuBench, WhatIsWrongIsNotTimed) {
  LLM_SKIP_WITHOUT(Device::simt);
  GpuBench bench{.device = Device::simt, .quick = true, .json = {}};
  const auto writes = [](float cpu, float gpu) {
    return [=](Device device) -> PreparedOperator {
      const Tensor out({3}, DType::f32, device), value({3}, DType::f32);
      for (int i = 0; i < 3; ++i) value.view().as<float>()[i] = device == Device::cpu ? cpu : gpu;
      return {[=] { copy(value, out); }, out};
    };
  };
  EXPECT_EQ(check_and_time(bench, "right", 1e-3, writes(2.0f, 2.001f)).at("repetitions").integer(), 2);
  EXPECT_ANY_THROW(check_and_time(bench, "wrong", 1e-3, writes(2.0f, 2.1f)));
  EXPECT_ANY_THROW(check_and_time(bench, "NaN", 1e-3, writes(2.0f, NAN)));
}

TEST(GpuBench, CachesHoldNoneOfTheCopies) {
  const GpuBench bench{.device = Device::cuda, .quick = false, .json = {}};
  for (const int64_t bytes : {int64_t{1} << 20, int64_t{117440512}, int64_t{512} << 20, int64_t{1} << 31}) {
    EXPECT_GE(count_copies(bench, bytes) * bytes, int64_t{512} << 20);
    EXPECT_GE(count_copies(bench, bytes), 1);
  }
}

TEST(GpuBench, SummaryIsMedianAndSpread) {
  const Json s = summary({3.0, 1.0, 8.0, 2.0});
  EXPECT_EQ(median_of(s), 2.5);
  EXPECT_EQ(s.at("min").number(), 1.0);
  EXPECT_EQ(s.at("max").number(), 8.0);
  EXPECT_EQ(s.at("repetitions").integer(), 4);
}

}  // namespace
}  // namespace llm
