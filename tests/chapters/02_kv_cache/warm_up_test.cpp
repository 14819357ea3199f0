#include "common/program/warm_up.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <set>

#include "chapters/02_kv_cache/cached_generation.h"
#include "chapters/02_kv_cache/contiguous_kv_cache.h"
#include "common/program/kernel_counts.h"
#include "tests/support/gpu_device.h"
#include "tests/support/tiny_model.h"

namespace llm {
namespace {

void generate(const Transformer& model, int max_tokens) {
  std::mt19937_64 random(1);
  ContiguousKvCache cache(model.config(), 48, 1, model.dtype(), model.device());
  (void)generate_cached(model, cache, model.ops().attend, random_ids(random, 31, model.config().vocab_size),
                        {max_tokens, true, {}});
}

class WarmUpOn : public testing::TestWithParam<std::tuple<std::string, DType>> {};

TEST_P(WarmUpOn, LaunchesEveryKernelOfAText) {
  LLM_SKIP_WITHOUT(Device::simt);
  const auto& [family, dtype] = GetParam();
  const auto model = tiny_transformer(tiny_config(family), 1, dtype, Device::simt);
  const auto kernels_of = [](const std::function<void()>& work) {
    start_kernel_counts(Device::simt);
    work();
    Json details = Json::object();
    describe_kernel_counts(0.0, details);
    stop_kernel_counts();
    std::set<std::string> names;
    if (details.at("simt").is_null()) return names;
    details.at("simt").at("kernels").for_each([&](const Json& kernel) { names.insert(kernel.at("name").string()); });
    return names;
  };
  const std::set<std::string> before = kernels_of([&] { warm_up(*model, 9); });  // more rows than few
  const std::set<std::string> needed = kernels_of([&] { generate(*model, 3); });
  if (needed.empty()) GTEST_SKIP() << "this build's kernels call no access hooks";
  for (const std::string& name : needed) EXPECT_TRUE(before.contains(name)) << name;
}

INSTANTIATE_TEST_SUITE_P(, WarmUpOn,
                         testing::Combine(testing::ValuesIn(tiny_families()), testing::Values(DType::f32, DType::bf16)),
                         [](const auto& test) {
                           return std::get<0>(test.param) + "_" + name_of(std::get<1>(test.param));
                         });

class FirstToken : public testing::TestWithParam<Device> {};

// Far above what a step of the tiny model takes, far below what setting up cuBLAS does.
TEST_P(FirstToken, WaitsForNothing) {
  LLM_SKIP_WITHOUT(GetParam());
  const auto model = tiny_transformer(tiny_config("llama"), 1, DType::f32, GetParam());
  warm_up(*model);
  const auto start = std::chrono::steady_clock::now();
  generate(*model, 1);
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  EXPECT_LT(took.count(), 25.0);
}

INSTANTIATE_TEST_SUITE_P(, FirstToken, testing::Values(Device::cuda),
                         [](const auto& test) { return name_of(test.param); });

}  // namespace
}  // namespace llm
