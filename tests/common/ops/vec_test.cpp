#include "common/ops/vec.h"

#include "tests/common/ops/ops_testing.h"

namespace llm {
namespace {

TEST(Vec, SumEachHasTheBitsOfSum) {
  const Tensor numbers = random_tensor({kLanes, kLanes}, 1);
  Vec vectors[kLanes];
  for (int i = 0; i < kLanes; ++i) vectors[i] = load(numbers.view().as<float>() + i * kLanes);
  const Vec sums = sum_each(vectors);
  for (int i = 0; i < kLanes; ++i) EXPECT_EQ(sums[i], sum(vectors[i])) << "vector " << i;
}

}  // namespace
}  // namespace llm
