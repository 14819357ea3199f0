// On every device the sum of each row, against float64.
#include "common/ops/sum_rows.h"

#include <numeric>

#include "common/ops/ops.h"
#include "tests/common/ops/ops_testing.h"
#include "tests/support/expect_close.h"
#include "tests/support/gpu_device.h"

namespace llm {
namespace {

class SumRows : public testing::TestWithParam<Device> {
 protected:
  void SetUp() override { LLM_SKIP_WITHOUT(GetParam()); }
};

TEST_P(SumRows, AgreesWithFloat64) {
  // Around the steps of 8 vectors on the CPU, and of 256 threads with 8 loads of 1 or 4 numbers each on a GPU.
  for (const int64_t width : {1, 31, 33, 64, 127, 128, 1023, 1028, 2049, 8192, 8196, 16388}) {
    for (const int64_t rows : {1, 3}) {
      const Tensor x = random_tensor({rows, width}, static_cast<uint64_t>(width));
      const Tensor out = to_device(filled_tensor({rows}, NAN), GetParam());
      ops_for(GetParam()).sum_rows(to_device(x, GetParam()), out);
      std::vector<double> expected;
      for (int64_t r = 0; r < rows; ++r) {
        const float* const row = x.view().as<float>() + r * width;
        expected.push_back(std::accumulate(row, row + width, 0.0));
      }
      expect_close(to_host(out), expected, 2e-5);
    }
  }
}

TEST_P(SumRows, NanIsSeenWhereverItStands) {
  constexpr int64_t kWidth = 8193;
  for (const int64_t at : {int64_t{0}, int64_t{255}, int64_t{2048}, int64_t{8191}, kWidth - 1}) {
    const Tensor x = filled_tensor({2, kWidth}, 1.0f);
    x.view().as<float>()[kWidth + at] = NAN;
    const Tensor out({2}, DType::f32, GetParam());
    ops_for(GetParam()).sum_rows(to_device(x, GetParam()), out);
    const Tensor here = to_host(out);
    EXPECT_EQ(here.view().as<float>()[0], 8193.0f);
    EXPECT_TRUE(std::isnan(here.view().as<float>()[1])) << at;
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, SumRows, testing::Values(Device::cpu, Device::simt, Device::cuda),
                         [](const auto& test) { return std::string(name_of(test.param)); });

}  // namespace
}  // namespace llm
