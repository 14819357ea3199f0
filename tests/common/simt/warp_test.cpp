#include "common/simt/warp.h"

#include <numeric>

#include "tests/common/simt/kernel_test.h"

namespace llm::simt {
namespace {

constexpr unsigned kAll = 0xffffffff;

enum class Shuffle { index, up, down, exchange };

__global__ void shuffle_kernel(Shuffle kind, int operand, int width, int* out) {
  const int lane = static_cast<int>(threadIdx.x), value = 100 + lane;
  switch (kind) {
    case Shuffle::index:
      out[lane] = __shfl_sync(kAll, value, operand, width);
      break;
    case Shuffle::up:
      out[lane] = __shfl_up_sync(kAll, value, static_cast<unsigned>(operand), width);
      break;
    case Shuffle::down:
      out[lane] = __shfl_down_sync(kAll, value, static_cast<unsigned>(operand), width);
      break;
    case Shuffle::exchange:
      out[lane] = __shfl_xor_sync(kAll, value, operand, width);
      break;
  }
}

// PTX ISA, "shfl.sync": the lane that is read, and whether it lies in the range that may be.
int source_lane(Shuffle kind, int lane, int operand, int width) {
  const int segment_mask = 32 - width;  // of the bits that name the segment
  const int clamp = kind == Shuffle::up ? 0 : 31;
  const int max_lane = (lane & segment_mask) | (clamp & ~segment_mask), min_lane = lane & segment_mask;
  switch (kind) {
    case Shuffle::index:
      return min_lane | (operand & ~segment_mask & 31);
    case Shuffle::up:
      return lane - operand >= max_lane ? lane - operand : lane;
    case Shuffle::down:
      return lane + operand <= max_lane ? lane + operand : lane;
    case Shuffle::exchange:
      return (lane ^ operand) <= max_lane ? lane ^ operand : lane;
  }
  return -1;
}

TEST(Warp, ShufflesReadTheDocumentedLane) {
  in_every_order([] {
    for (const Shuffle kind : {Shuffle::index, Shuffle::up, Shuffle::down, Shuffle::exchange}) {
      for (const int width : {1, 2, 8, 16, 32}) {
        for (const int operand : {0, 1, 3, 5, 16, 31}) {
          DeviceArray<int> out(32);
          launch<shuffle_kernel>({1, 32}, kind, operand, width, out.data());
          std::vector<int> expected(32);
          for (int lane = 0; lane < 32; ++lane) {
            expected[static_cast<size_t>(lane)] = 100 + source_lane(kind, lane, operand, width);
          }
          EXPECT_EQ(out.values(), expected) << static_cast<int>(kind) << " by " << operand << " in " << width;
        }
      }
    }
  });
}

// Two halves of a warp, each with a mask of its own, go their own ways.
__global__ void partial_kernel(float* sums, unsigned* votes) {
  const unsigned lane = threadIdx.x;
  const bool is_low = lane < 12;
  const unsigned mask = is_low ? 0x00000fff : 0xfffff000;
  float sum = static_cast<float>(lane);
  if (is_low) {
    sum = 0.0f;
    for (int i = 0; i < 12; ++i) sum += __shfl_sync(mask, static_cast<float>(lane), i);
  } else {
    sum = 0.0f;
    for (int i = 12; i < 32; ++i) sum += __shfl_sync(mask, static_cast<float>(lane), i);
  }
  sums[lane] = sum;
  votes[lane] = __ballot_sync(mask, lane % 3 == 0);
}

TEST(Warp, APartialMaskIsAWarpOfItsOwn) {
  in_every_order([] {
    DeviceArray<float> sums(32);
    DeviceArray<unsigned> votes(32);
    launch<partial_kernel>({1, 32}, sums.data(), votes.data());
    unsigned thirds = 0;
    for (unsigned lane = 0; lane < 32; lane += 3) thirds |= 1u << lane;
    for (size_t lane = 0; lane < 32; ++lane) {
      EXPECT_EQ(sums.values()[lane], lane < 12 ? 66.0f : 430.0f);  // 0 + ... + 11, 12 + ... + 31
      EXPECT_EQ(votes.values()[lane], thirds & (lane < 12 ? 0x00000fffu : 0xfffff000u));
    }
  });
}

// The value of a lane that does not take part is undefined on a device: a NaN here, which nobody overlooks.
__global__ void outsider_kernel(float* out) {
  if (threadIdx.x >= 20) return;
  out[threadIdx.x] = __shfl_sync(0x000fffff, 1.0f, threadIdx.x == 3 ? 25 : 0);
}

TEST(Warp, AnOutsidersValueIsPoison) {
  DeviceArray<float> out(20);
  launch<outsider_kernel>({1, 32}, out.data());
  for (size_t lane = 0; lane < 20; ++lane) EXPECT_EQ(std::isnan(out.values()[lane]), lane == 3);
}

__global__ void votes_kernel(int limit, unsigned* out) {
  const int thread = static_cast<int>(threadIdx.x);
  if (thread == 5) return;  // an ended lane is not waited for, and has no vote
  out[3 * thread] = __ballot_sync(kAll, thread < limit);
  out[3 * thread + 1] = static_cast<unsigned>(__any_sync(kAll, thread < limit));
  out[3 * thread + 2] = static_cast<unsigned>(__all_sync(kAll, thread < limit));
}

TEST(Warp, Votes) {
  in_every_order([] {
    for (const int limit : {0, 1, 17, 40, 45}) {
      DeviceArray<unsigned> out(std::vector<unsigned>(3 * 45, 7));
      launch<votes_kernel>({1, 45}, limit, out.data());
      const std::vector<unsigned> values = out.values();
      for (int thread = 0; thread < 45; ++thread) {
        unsigned ballot = 0, alive = 0;
        for (int lane = 0; lane < 32; ++lane) {
          const int other = thread / 32 * 32 + lane;
          if (other == 5 || other >= 45) continue;
          alive |= 1u << lane;
          if (other < limit) ballot |= 1u << lane;
        }
        const size_t at = static_cast<size_t>(3 * thread);
        EXPECT_EQ(values[at], thread == 5 ? 7 : ballot);
        EXPECT_EQ(values[at + 1], thread == 5 ? 7u : ballot != 0);
        EXPECT_EQ(values[at + 2], thread == 5 ? 7u : ballot == alive);
      }
    }
  });
}

__global__ void reduce_kernel(unsigned mask, int* out) {
  const int lane = static_cast<int>(threadIdx.x);
  if ((mask >> lane & 1) == 0) return;
  const int value = (lane - 10) * 1000;
  out[4 * lane] = __reduce_add_sync(mask, value);
  out[4 * lane + 1] = __reduce_min_sync(mask, value);
  out[4 * lane + 2] = __reduce_max_sync(mask, value);
  out[4 * lane + 3] = static_cast<int>(__reduce_max_sync(mask, static_cast<unsigned>(value)));
}

TEST(Warp, Reductions) {
  in_every_order([] {
    for (const unsigned mask : {kAll, 0x80000001u, 0x00010000u, 0x0ff0f00fu}) {
      DeviceArray<int> out(4 * 32);
      launch<reduce_kernel>({1, 32}, mask, out.data());
      const std::vector<int> values = out.values();
      int sum = 0, least = 1 << 30, most = -least;
      unsigned most_unsigned = 0;
      for (int lane = 0; lane < 32; ++lane) {
        if ((mask >> lane & 1) == 0) continue;
        const int value = (lane - 10) * 1000;
        sum += value;
        least = std::min(least, value);
        most = std::max(most, value);
        most_unsigned = std::max(most_unsigned, static_cast<unsigned>(value));
      }
      for (int lane = 0; lane < 32; ++lane) {
        if ((mask >> lane & 1) == 0) continue;
        const auto* result = &values[static_cast<size_t>(4 * lane)];
        EXPECT_EQ(result[0], sum);
        EXPECT_EQ(result[1], least);
        EXPECT_EQ(result[2], most);
        EXPECT_EQ(static_cast<unsigned>(result[3]), most_unsigned);
      }
    }
  });
}

__global__ void foreign_mask_kernel() { __syncwarp(0x0000fffe); }

__global__ void different_operations_kernel() {
  if (threadIdx.x < 16) {
    __syncwarp();
  } else {
    __ballot_sync(kAll, 1);
  }
}

TEST(Warp, WrongMasksAreTold) {
  const std::string foreign = kernel_error_of([] { launch<foreign_mask_kernel>({1, 32}); });
  EXPECT_NE(foreign.find("lane 0 of warp 0 is at __syncwarp (warp_test.cpp:"), std::string::npos) << foreign;
  EXPECT_NE(foreign.find("with the mask 0x0000fffe, in which it is not"), std::string::npos) << foreign;
  const std::string different = kernel_error_of([] { launch<different_operations_kernel>({1, 32}); });
  EXPECT_NE(different.find("lane 16 of warp 0 is at __ballot_sync"), std::string::npos) << different;
  EXPECT_NE(different.find("others of the mask 0xffffffff are at __syncwarp"), std::string::npos) << different;
}

}  // namespace
}  // namespace llm::simt
