#include "common/simt/async_copy.h"

#include <algorithm>
#include <numeric>

#include "common/cuda/ptx.cuh"
#include "tests/common/simt/kernel_test.h"

namespace llm::simt {
namespace {

// Three groups of 16 bytes by one thread, and what is there after each step.
struct GroupsStorage {
  alignas(16) int numbers_smem[12];
};

__global__ void groups_kernel(const int* from, int* seen) {
  auto& smem = shared_storage<GroupsStorage>();
  const auto look = [&](int step) {
    for (int i = 0; i < 12; ++i) seen[step * 12 + i] = smem.numbers_smem[i];
  };
  for (int group = 0; group < 3; ++group) {
    cp_async<16>(smem.numbers_smem + 4 * group, from + 4 * group);
    cp_async_commit();
  }
  look(0);
  cp_async_wait<2>();
  look(1);
  cp_async_wait<0>();
  look(2);
}

TEST(AsyncCopy, BytesLandOnlyAtTheWait) {
  std::vector<int> numbers(12);
  std::iota(numbers.begin(), numbers.end(), 1);
  DeviceArray<int> from(numbers), seen(36);
  launch<groups_kernel>({1, 1, sizeof(GroupsStorage)}, from.data(), seen.data());
  const std::vector<int> values = seen.values();
  for (size_t i = 0; i < 12; ++i) {
    EXPECT_EQ(values[i], -1) << "before any wait";
    EXPECT_EQ(values[12 + i], i < 4 ? numbers[i] : -1) << "with two groups under way";
    EXPECT_EQ(values[24 + i], numbers[i]);
  }
}

template <int BYTES>
struct CopyStorage {
  alignas(16) char bytes_smem[33 * BYTES];
};

template <int BYTES>
__global__ void copy_kernel(const char* from, char* to, int source_bytes, bool commits) {
  auto& smem = shared_storage<CopyStorage<BYTES>>();
  const unsigned offset = threadIdx.x * BYTES;
  cp_async<BYTES>(smem.bytes_smem + offset, from + offset, source_bytes);
  if (commits) cp_async_commit();
  cp_async_wait<0>();
  __syncthreads();
  const unsigned other = (threadIdx.x + 1) % blockDim.x * BYTES;
  for (unsigned i = 0; i < BYTES; ++i) to[other + i] = smem.bytes_smem[other + i];
}

template <int BYTES>
void expect_copies() {
  std::vector<char> bytes(33 * BYTES);
  std::iota(bytes.begin(), bytes.end(), 1);
  DeviceArray<char> from(bytes);
  for (const int source_bytes : {BYTES, 0, 3}) {
    DeviceArray<char> to(bytes.size());
    launch<copy_kernel<BYTES>>({1, 33, sizeof(CopyStorage<BYTES>)}, from.data(), to.data(), source_bytes, true);
    const std::vector<char> values = to.values();
    for (size_t i = 0; i < bytes.size(); ++i) {
      EXPECT_EQ(values[i], static_cast<int>(i % BYTES) < source_bytes ? bytes[i] : 0) << "byte " << i;
    }
  }
  // A copy that was not committed is not waited for.
  DeviceArray<char> to(bytes.size());
  launch<copy_kernel<BYTES>>({1, 33, sizeof(CopyStorage<BYTES>)}, from.data(), to.data(), BYTES, false);
  EXPECT_EQ(to.values(), std::vector<char>(bytes.size(), -1));
}

TEST(AsyncCopy, CopiesAllSizesAndFillsUpWithZeros) {
  in_every_order([] {
    expect_copies<16>();
    expect_copies<8>();
    expect_copies<4>();
  });
}

TEST(AsyncCopy, AddressesMustBeAMultipleOfTheSize) {
  DeviceArray<char> from(17 * 8), to(17 * 8);
  const std::string sentence = kernel_error_of([&] {
    launch<copy_kernel<16>>({1, 1, sizeof(CopyStorage<16>)}, from.data() + 8, to.data(), 16, true);
  });
  EXPECT_NE(sentence.find("block (0, 0, 0): cp_async of 16 bytes to"), std::string::npos) << sentence;
  EXPECT_NE(sentence.find("both must be a multiple of 16"), std::string::npos) << sentence;
}

}  // namespace
}  // namespace llm::simt
