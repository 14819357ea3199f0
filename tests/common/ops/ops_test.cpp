#include "common/ops/ops.h"

#include <gtest/gtest.h>

#include "tests/support/sentence_of.h"

namespace llm {
namespace {

TEST(Ops, TheCpuHasAllOperators) {
  const Ops& ops = ops_for(Device::cpu);
  EXPECT_EQ(ops.make_matrix, cpu::make_matrix);
  EXPECT_EQ(ops.embed, cpu::embed);
  EXPECT_EQ(ops.add_rmsnorm, cpu::add_rmsnorm);
  EXPECT_EQ(ops.matmul, cpu::matmul);
  EXPECT_EQ(ops.rope_and_store, cpu::rope_and_store);
  EXPECT_EQ(ops.swiglu, cpu::swiglu);
  EXPECT_EQ(ops.gather_rows, cpu::gather_rows);
  EXPECT_EQ(ops.attend, cpu::attend);
}

TEST(Ops, AbsentDevicesAreNamed) {
  EXPECT_SENTENCE(ops_for(Device::cuda), "this build has no device cuda: run with --device cpu");
  EXPECT_SENTENCE(ops_for(Device::simt), "this build has no device simt: run with --device cpu");
}

}  // namespace
}  // namespace llm
