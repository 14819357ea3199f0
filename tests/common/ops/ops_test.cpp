#include "common/ops/ops.h"

#include <gtest/gtest.h>

#include "tests/support/gpu_device.h"

namespace llm {
namespace {

TEST(Ops, TheCpuHasAllOperators) {
  const Ops& ops = ops_for(Device::cpu);
  EXPECT_EQ(ops.make_matrix, cpu::make_matrix);
  EXPECT_EQ(ops.embed, cpu::embed);
  EXPECT_EQ(ops.add_rmsnorm, cpu::add_rmsnorm);
  EXPECT_EQ(ops.matmul, cpu::matmul);
  EXPECT_EQ(ops.rope_and_store, cpu::rope_and_store);
  EXPECT_EQ(ops.swiglu_matmul, cpu::swiglu_matmul);
  EXPECT_EQ(ops.gather_rows, cpu::gather_rows);
  EXPECT_EQ(ops.attend, cpu::attend);
  EXPECT_EQ(ops.argmax, cpu::argmax);
  EXPECT_EQ(ops.sample, cpu::sample);
  EXPECT_EQ(ops.fill_random, cpu::fill_random);
}

TEST(Ops, AbsentDevicesAreNamed) {
  for (const Device device : {Device::cuda, Device::simt}) {
    const std::string why = missing_device(device);
    if (why.empty()) continue;  // it is here
    EXPECT_NE(why.find(name_of(device)), std::string::npos) << why;
    EXPECT_NE(why.find("--device cpu"), std::string::npos) << why;
    EXPECT_THROW(ops_for(device), InputError);
    EXPECT_THROW(Tensor({1}, DType::f32, device), InputError);
  }
}

}  // namespace
}  // namespace llm
