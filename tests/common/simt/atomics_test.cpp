#include "common/simt/atomics.h"

#include <algorithm>
#include <numeric>

#include "tests/common/simt/kernel_test.h"

namespace llm::simt {
namespace {

struct CountStorage {
  int count_smem;
};

__global__ void take_tickets_kernel(int* tickets, int* total, float* sum) {
  auto& smem = shared_storage<CountStorage>();
  if (threadIdx.x == 0) smem.count_smem = 0;
  __syncthreads();
  tickets[blockIdx.x * blockDim.x + threadIdx.x] = atomicAdd(&smem.count_smem, 1);
  atomicAdd(sum, 0.5f);
  __syncthreads();
  if (threadIdx.x == 0) atomicAdd(total, smem.count_smem);
}

TEST(Atomics, EveryThreadGetsATicketOfItsOwn) {
  in_every_order([] {
    check_races(kInstrumented);
    DeviceArray<int> tickets(3 * 97), total(std::vector<int>{5});
    DeviceArray<float> sum(std::vector<float>{1.0f});
    launch<take_tickets_kernel>({3, 97, sizeof(CountStorage)}, tickets.data(), total.data(), sum.data());
    check_races(false);
    std::vector<int> numbers = tickets.values(), expected(97);
    std::iota(expected.begin(), expected.end(), 0);
    for (auto block = numbers.begin(); block != numbers.end(); block += 97) {
      std::sort(block, block + 97);
      EXPECT_TRUE(std::equal(expected.begin(), expected.end(), block));
    }
    EXPECT_EQ(total.values()[0], 5 + 3 * 97);
    EXPECT_EQ(sum.values()[0], 1.0f + 3 * 97 * 0.5f);
  });
}

__global__ void all_kinds_kernel(int* i, unsigned* u, float* f, unsigned long long* l) {
  i[0] = atomicAdd(&i[1], -7);
  i[2] = atomicMax(&i[3], 9);
  i[4] = atomicMin(&i[5], -9);
  i[6] = atomicExch(&i[7], 11);
  i[8] = atomicCAS(&i[9], 9, 12);    // 9 stands there
  i[10] = atomicCAS(&i[11], 9, 12);  // 11 does
  u[0] = atomicAdd(&u[1], 0xffffffffu);
  u[2] = atomicMax(&u[3], 0x80000000u);
  u[4] = atomicMin(&u[5], 1u);
  u[6] = atomicExch(&u[7], 3u);
  u[8] = atomicCAS(&u[9], 9u, 4u);
  f[0] = atomicExch(&f[1], 2.5f);
  l[0] = atomicAdd(&l[1], 1ull << 40);
}

TEST(Atomics, ReturnWhatStoodThere) {
  std::vector<int> numbers(12);
  std::iota(numbers.begin(), numbers.end(), 0);
  DeviceArray<int> i(numbers);
  DeviceArray<unsigned> u(std::vector<unsigned>(numbers.begin(), numbers.begin() + 10));
  DeviceArray<float> f(std::vector<float>{0.0f, 1.0f});
  DeviceArray<unsigned long long> l(std::vector<unsigned long long>{0, 1});
  launch<all_kinds_kernel>({1, 1}, i.data(), u.data(), f.data(), l.data());
  EXPECT_EQ(i.values(), (std::vector<int>{1, -6, 3, 9, 5, -9, 7, 11, 9, 12, 11, 11}));
  EXPECT_EQ(u.values(), (std::vector<unsigned>{1, 0, 3, 0x80000000u, 5, 1, 7, 3, 9, 4}));
  EXPECT_EQ(f.values(), (std::vector<float>{1.0f, 2.5f}));
  EXPECT_EQ(l.values(), (std::vector<unsigned long long>{1, (1ull << 40) + 1}));
}

}  // namespace
}  // namespace llm::simt
