#include "common/ops/ops.h"
#include "tests/common/ops/ops_testing.h"
#include "tests/support/gpu_device.h"

namespace llm {
namespace {

Tensor filled(Device device, Shape shape, uint64_t key, float range) {
  const Tensor out(shape, DType::bf16, device);
  ops_for(device).fill_random(out, key, range);
  return to_host(out);
}

TEST(FillRandom, EachNumberDependsOnItsPlaceAlone) {
  const Tensor large = filled(Device::cpu, {65, 1031}, 7, 2.0f);  // by several threads
  const Threads one(1);
  EXPECT_TRUE(same_bits(large, filled(Device::cpu, {65, 1031}, 7, 2.0f)));
  const Tensor small = filled(Device::cpu, {3, 31}, 7, 2.0f);
  for (int64_t row = 0; row < 3; ++row) {
    for (int64_t i = 0; i < 31; ++i) {
      const float number = to_float(small.view().as<bf16>()[row * 31 + i]);
      EXPECT_EQ(number, to_float(large.view().as<bf16>()[row * 1031 + i]));
      EXPECT_LE(std::abs(number), 2.0f);
    }
  }
}

class GpuFillRandom : public testing::TestWithParam<Device> {
 protected:
  void SetUp() override { LLM_SKIP_WITHOUT(GetParam()); }
};

TEST_P(GpuFillRandom, MakesTheCpusBits) {
  for (const int64_t rows : {0, 1, 33}) {
    for (const int64_t columns : {1, 31, 33, 65, 256, 257, 1031}) {
      for (const uint64_t key : {uint64_t{0}, UINT64_MAX, uint64_t{0x9e3779b97f4a7c15}}) {
        const float range = std::sqrt(3.0f / static_cast<float>(columns));
        EXPECT_TRUE(same_bits(filled(Device::cpu, {rows, columns}, key, range),
                              filled(GetParam(), {rows, columns}, key, range)))
            << rows << " x " << columns << ", key " << key;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, GpuFillRandom, testing::Values(Device::simt, Device::cuda),
                         [](const auto& test) { return name_of(test.param); });

}  // namespace
}  // namespace llm
