#include "common/simt/races.h"

#include <fstream>

#include "common/cuda/ptx.cuh"
#include "tests/common/simt/kernel_test.h"

namespace llm::simt {
namespace {

struct Races : testing::Test {
  void SetUp() override {
    SKIP_UNLESS_INSTRUMENTED();
    check_races(true);
  }
  void TearDown() override { check_races(false); }
};

// The line of this file with these words at its end.
std::string line_with(const std::string& words) {
  std::ifstream file(__FILE__);
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (line.ends_with("// " + words)) return fmt::format("races_test.cpp:{}", number);
  }
  return "no line of races_test.cpp";
}

struct Storage {
  float numbers_smem[64];
  alignas(16) uint16_t halves_smem[64];
  alignas(16) float tile_smem[128];
  int count_smem;
};

enum class Between { nothing, block_barrier, warp_barrier, shuffle, named_barrier };

// Every thread writes its own number and reads that of the thread `distance` on.
template <Between between>
__global__ void neighbor_kernel(int distance, float* out) {
  auto& smem = shared_storage<Storage>();
  smem.numbers_smem[threadIdx.x] = 1.0f;  // the neighbor's write
  if constexpr (between == Between::block_barrier) __syncthreads();
  if constexpr (between == Between::warp_barrier) __syncwarp();
  if constexpr (between == Between::shuffle) __shfl_sync(0xffffffff, 1, 0);
  if constexpr (between == Between::named_barrier) bar_sync(3, 64);
  out[threadIdx.x] = smem.numbers_smem[(static_cast<int>(threadIdx.x) + distance) % 64];  // the neighbor's read
}

template <Between between>
std::string run_neighbor(int distance) {
  DeviceArray<float> out(64);
  return kernel_error_of([&] { launch<neighbor_kernel<between>>({1, 64, sizeof(Storage)}, distance, out.data()); });
}

TEST_F(Races, AMissingBarrierIsToldWithBothLines) {
  const std::string sentence = run_neighbor<Between::nothing>(1);
  EXPECT_EQ(sentence,
            fmt::format("kernel neighbor_kernel<Between::nothing>, block (0, 0, 0): a race on shared memory, byte 4: "
                        "thread (0, 0, 0) reads it at {}, thread (1, 0, 0) writes it at {}, and no barrier is between "
                        "them",
                        line_with("the neighbor's read"), line_with("the neighbor's write")));
  EXPECT_EQ(run_neighbor<Between::nothing>(0), "(no error)") << "its own number";
}

TEST_F(Races, IsFoundInEveryOrder) {
  in_every_order([] {
    for (const int distance : {1, 31, 32, 63}) {
      EXPECT_NE(run_neighbor<Between::nothing>(distance).find("a race on shared memory"), std::string::npos);
      EXPECT_EQ(run_neighbor<Between::block_barrier>(distance), "(no error)");
      EXPECT_EQ(run_neighbor<Between::named_barrier>(distance), "(no error)");
    }
  });
}

// (thread + 32) % 64 is in the other warp, which __syncwarp does not wait for.
TEST_F(Races, AWarpBarrierOrdersItsWarpAndAShuffleNothing) {
  struct SameWarpStorage {};
  in_every_order([] {
    EXPECT_NE(run_neighbor<Between::warp_barrier>(32).find("a race"), std::string::npos);
    EXPECT_NE(run_neighbor<Between::warp_barrier>(1).find("a race"), std::string::npos) << "31 reads from warp 1";
    EXPECT_NE(run_neighbor<Between::shuffle>(1).find("a race"), std::string::npos);
  });
}

template <bool WAITS>
__global__ void within_a_warp_kernel(float* out) {
  auto& smem = shared_storage<Storage>();
  const unsigned other = threadIdx.x / 32 * 32 + (threadIdx.x + 1) % 32;
  for (int round = 0; round < 3; ++round) {
    smem.numbers_smem[threadIdx.x] = 1.0f;
    if constexpr (WAITS) __syncwarp();
    out[threadIdx.x] = smem.numbers_smem[other];
    __syncwarp();
  }
}

TEST_F(Races, ThreadsOfAWarpAreNotInStep) {
  in_every_order([] {
    DeviceArray<float> out(64);
    EXPECT_EQ(kernel_error_of([&] {
                launch<within_a_warp_kernel<true>>({2, 64, sizeof(Storage)}, out.data());
              }),
              "(no error)");
    EXPECT_NE(kernel_error_of([&] {
                launch<within_a_warp_kernel<false>>({2, 64, sizeof(Storage)}, out.data());
              }).find("a race"),
              std::string::npos);
  });
}

// A barrier before the reads, none before the next round's writes.
template <bool WAITS>
__global__ void reuse_kernel(float* out) {
  auto& smem = shared_storage<Storage>();
  for (int round = 0; round < 2; ++round) {
    smem.numbers_smem[threadIdx.x] = 1.0f;
    __syncthreads();
    out[threadIdx.x] = smem.numbers_smem[63 - threadIdx.x];
    if constexpr (WAITS) __syncthreads();
  }
}

__global__ void write_twice_kernel() {
  auto& smem = shared_storage<Storage>();
  smem.numbers_smem[0] = 1.0f;
}

__global__ void halves_kernel(float* out) {
  auto& smem = shared_storage<Storage>();
  smem.halves_smem[threadIdx.x] = 1;  // two threads to a word, but not to a number
  __syncthreads();
  out[threadIdx.x] = smem.halves_smem[63 - threadIdx.x];
}

TEST_F(Races, WritesAgainstReadsAndWrites) {
  in_every_order([] {
    DeviceArray<float> out(64);
    const LaunchConfig config{1, 64, sizeof(Storage)};
    EXPECT_EQ(kernel_error_of([&] { launch<reuse_kernel<true>>(config, out.data()); }), "(no error)");
    EXPECT_NE(kernel_error_of([&] { launch<reuse_kernel<false>>(config, out.data()); }).find("a race"),
              std::string::npos);
    EXPECT_EQ(kernel_error_of([&] { launch<halves_kernel>(config, out.data()); }), "(no error)");
    EXPECT_NE(kernel_error_of([&] { launch<write_twice_kernel>(config); }).find("a race"), std::string::npos);
    EXPECT_EQ(kernel_error_of([&] {
                launch<write_twice_kernel>({5, 1, sizeof(Storage)});
              }),
              "(no error)")
        << "blocks have a memory each";
  });
}

// One warp after another takes the barrier's place: 0 hands to 1, which hands to 2. That 2 waits for 1 orders it after
// 0.
template <bool FORGETS>
__global__ void chain_kernel(float* out) {
  auto& smem = shared_storage<Storage>();
  const unsigned warp = threadIdx.y, lane = threadIdx.x;
  if (warp == 0) {
    smem.numbers_smem[lane] = 1.0f;
    bar_arrive(1, 64);
  } else if (warp == 1) {
    bar_sync(1, 64);
    if constexpr (!FORGETS) bar_arrive(2, 64);
  } else {
    if constexpr (!FORGETS) bar_sync(2, 64);
    out[lane] = smem.numbers_smem[31 - lane];
  }
}

TEST_F(Races, NamedBarriersOrderThoseWhoComeAndWhatTheyKnow) {
  in_every_order([] {
    DeviceArray<float> out(32);
    const LaunchConfig config{1, dim3(32, 3), sizeof(Storage)};
    EXPECT_EQ(kernel_error_of([&] { launch<chain_kernel<false>>(config, out.data()); }), "(no error)");
    EXPECT_NE(kernel_error_of([&] { launch<chain_kernel<true>>(config, out.data()); }).find("a race"),
              std::string::npos);
  });
}

// Copies with one wait too few, or none after which all threads meet.
enum class Forgets { nothing, wait, barrier };

template <Forgets forgets>
__global__ void async_kernel(const float* from, float* out) {
  auto& smem = shared_storage<Storage>();
  cp_async<16>(smem.tile_smem + 4 * threadIdx.x, from + 4 * threadIdx.x);  // the copy
  cp_async_commit();
  if constexpr (forgets != Forgets::wait) cp_async_wait<0>();
  if constexpr (forgets != Forgets::barrier) __syncthreads();
  out[threadIdx.x] = smem.tile_smem[127 - threadIdx.x];  // the copy's reader
  if constexpr (forgets == Forgets::wait) cp_async_wait<0>();
}

TEST_F(Races, AnAsyncCopyIsAWriteUntilItIsWaitedFor) {
  in_every_order([] {
    DeviceArray<float> from(std::vector<float>(128, 1.0f)), out(32);
    const LaunchConfig config{1, 32, sizeof(Storage)};
    EXPECT_EQ(kernel_error_of([&] { launch<async_kernel<Forgets::nothing>>(config, from.data(), out.data()); }),
              "(no error)");
    for (const std::string& sentence :
         {kernel_error_of([&] { launch<async_kernel<Forgets::wait>>(config, from.data(), out.data()); }),
          kernel_error_of([&] { launch<async_kernel<Forgets::barrier>>(config, from.data(), out.data()); })}) {
      EXPECT_NE(sentence.find("a race on shared memory"), std::string::npos) << sentence;
      EXPECT_NE(sentence.find("writes it at " + line_with("the copy")), std::string::npos) << sentence;
      EXPECT_NE(sentence.find("reads it at " + line_with("the copy's reader")), std::string::npos) << sentence;
    }
  });
}

template <bool PLAIN>
__global__ void count_kernel() {
  auto& smem = shared_storage<Storage>();
  if (threadIdx.x == 0) smem.count_smem = 0;
  __syncthreads();
  if (PLAIN && threadIdx.x == 40) {
    smem.count_smem = 1;
  } else {
    atomicAdd(&smem.count_smem, 1);
  }
}

TEST_F(Races, AtomicsDoNotRaceWithEachOther) {
  in_every_order([] {
    EXPECT_EQ(kernel_error_of([] { launch<count_kernel<false>>({1, 64, sizeof(Storage)}); }), "(no error)");
    EXPECT_NE(kernel_error_of([] {
                launch<count_kernel<true>>({1, 64, sizeof(Storage)});
              }).find("a race"),
              std::string::npos);
  });
}

TEST_F(Races, IsToldBeforeWhatComesOfIt) {
  // The race is found first; then the block can't go on.
  const auto kernel = [] {
    DeviceArray<float> out(64);
    launch<neighbor_kernel<Between::nothing>>({1, 64, sizeof(Storage)}, 1, out.data());
  };
  EXPECT_NE(kernel_error_of(kernel).find("a race"), std::string::npos);
  check_races(false);
  EXPECT_EQ(kernel_error_of(kernel), "(no error)");
}

}  // namespace
}  // namespace llm::simt
