#include "common/simt/barriers.h"

#include "common/cuda/ptx.cuh"
#include "tests/common/simt/kernel_test.h"

namespace llm::simt {
namespace {

__global__ void count_kernel(int* out, int limit) {
  const int thread = static_cast<int>(threadIdx.x);
  out[3 * thread] = __syncthreads_count(thread < limit);
  out[3 * thread + 1] = __syncthreads_and(thread < limit);
  out[3 * thread + 2] = __syncthreads_or(thread < limit);
}

TEST(Barriers, CountAndOr) {
  in_every_order([] {
    for (const int limit : {0, 1, 33, 69, 70}) {
      DeviceArray<int> out(3 * 70);
      launch<count_kernel>({1, 70}, out.data(), limit);
      const std::vector<int> values = out.values();
      for (size_t thread = 0; thread < 70; ++thread) {
        EXPECT_EQ(values[3 * thread], limit);
        EXPECT_EQ(values[3 * thread + 1], limit == 70);
        EXPECT_EQ(values[3 * thread + 2], limit > 0);
      }
    }
  });
}

// Warp 0 produces for warp 1, round by round, while warp 2 has nothing to do with them.
struct HandOverStorage {
  int numbers_smem[32];
};

constexpr int kFull = 1, kEmpty = 2;  // barriers

__global__ void hand_over_kernel(int* out, int rounds) {
  auto& smem = shared_storage<HandOverStorage>();
  const unsigned warp = threadIdx.y, lane = threadIdx.x;
  for (int round = 0; round < rounds; ++round) {
    if (warp == 0) {
      if (round > 0) bar_sync(kEmpty, 64);
      smem.numbers_smem[lane] = 100 * round + static_cast<int>(lane);
      bar_arrive(kFull, 64);
    } else if (warp == 1) {
      bar_sync(kFull, 64);
      out[round * 32 + static_cast<int>(lane)] = smem.numbers_smem[31 - lane];
      if (round + 1 < rounds) bar_arrive(kEmpty, 64);
    }
  }
}

TEST(Barriers, NamedBarriersHandOverBetweenWarps) {
  in_every_order([] {
    check_races(kInstrumented);
    constexpr int kRounds = 5;
    DeviceArray<int> out(kRounds * 32);
    launch<hand_over_kernel>({1, dim3(32, 3), sizeof(HandOverStorage)}, out.data(), kRounds);
    check_races(false);
    const std::vector<int> values = out.values();
    for (int round = 0; round < kRounds; ++round) {
      for (int lane = 0; lane < 32; ++lane) {
        EXPECT_EQ(values[static_cast<size_t>(round * 32 + lane)], 100 * round + 31 - lane);
      }
    }
  });
}

__global__ void two_places_kernel() {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}

TEST(Barriers, TheSameBarrierForAllThreads) {
  const std::string sentence = kernel_error_of([] { launch<two_places_kernel>({1, 64}); });
  EXPECT_NE(
      sentence.find("kernel two_places_kernel, block (0, 0, 0): a thread is at __syncthreads (barriers_test.cpp:"),
      std::string::npos)
      << sentence;
  EXPECT_NE(sentence.find(" while 32 wait at __syncthreads (barriers_test.cpp:"), std::string::npos) << sentence;
}

__global__ void bad_barrier_kernel(int id, int num_threads) { bar_sync(id, num_threads); }

TEST(Barriers, NamedBarriersRefuseWhatPtxForbids) {
  const auto says = [](int id, int num_threads, const char* words) {
    const std::string sentence = kernel_error_of([&] { launch<bad_barrier_kernel>({1, 32}, id, num_threads); });
    EXPECT_NE(sentence.find(words), std::string::npos) << sentence;
  };
  says(1, 32, "(no error)");
  says(16, 32, "barrier 16, but they are 0 to 15");
  says(1, 33, "a barrier of 33 threads, but it must be a multiple of a warp");
  says(15, 64, "32 threads wait at bar_sync (barriers_test.cpp:");
}

}  // namespace
}  // namespace llm::simt
