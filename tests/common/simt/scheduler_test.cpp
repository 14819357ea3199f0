#include "common/simt/scheduler.h"

#include <algorithm>
#include <stdexcept>

#include "tests/common/simt/kernel_test.h"
#include "tests/support/sentence_of.h"

namespace llm::simt {
namespace {

__global__ void number_threads_kernel(int* counts, int* places) {
  const unsigned threads = blockDim.x * blockDim.y * blockDim.z;
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  counts[block * threads + thread] = counts[block * threads + thread] < 0 ? 1 : 2;
  places[block * threads + thread] = current_thread();
}

void expect_each_thread_once(dim3 grid, dim3 block) {
  const size_t threads = size_t{block.x} * block.y * block.z, blocks = size_t{grid.x} * grid.y * grid.z;
  SCOPED_TRACE(testing::Message() << blocks << " blocks of " << threads);
  DeviceArray<int> counts(blocks * threads), places(blocks * threads);
  launch<number_threads_kernel>({grid, block}, counts.data(), places.data());
  const std::vector<int> seen = counts.values(), order = places.values();
  EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), static_cast<int64_t>(blocks * threads));
  for (size_t i = 0; i < order.size(); ++i) ASSERT_EQ(order[i], static_cast<int>(i % threads));
}

TEST(Scheduler, RunsEveryThreadOfEveryBlockOnce) {
  in_every_order([] {
    for (const unsigned threads : {1u, 31u, 32u, 33u, 1024u}) {
      expect_each_thread_once({1}, {threads});
      expect_each_thread_once({7}, {threads});
    }
    expect_each_thread_once({2, 3, 5}, {3, 5, 7});
    expect_each_thread_once({1, 1, 3}, {1, 1, 64});
    expect_each_thread_once({3, 1, 1}, {16, 64, 1});
  });
}

// The order in which the threads come, before a barrier and after it.
__global__ void order_kernel(int* order) {
  const int threads = static_cast<int>(blockDim.x);
  order[atomicAdd(&order[2 * threads], 1)] = static_cast<int>(threadIdx.x);
  __syncthreads();
  order[atomicAdd(&order[2 * threads], 1)] = static_cast<int>(threadIdx.x);
}

std::vector<int> thread_order(int threads) {
  DeviceArray<int> order(std::vector<int>(static_cast<size_t>(2 * threads) + 1, 0));
  launch<order_kernel>({1, static_cast<unsigned>(threads)}, order.data());
  std::vector<int> values = order.values();
  values.pop_back();
  return values;
}

TEST(Scheduler, OrdersAreWhatTheirNamesSay) {
  constexpr int kThreads = 70;
  std::vector<int> forward, reverse;
  for (int pass = 0; pass < 2; ++pass) {
    for (int i = 0; i < kThreads; ++i) {
      forward.push_back(i);
      reverse.push_back(kThreads - 1 - i);
    }
  }
  EXPECT_EQ(thread_order(kThreads), forward);
  {
    const WithSchedule with({Order::reverse});
    EXPECT_EQ(thread_order(kThreads), reverse);
  }
  std::vector<std::vector<int>> orders;
  for (const uint64_t seed : {1, 2, 1}) {
    const WithSchedule with({Order::random, seed});
    std::vector<int> order = thread_order(kThreads);
    EXPECT_NE(order, forward);
    EXPECT_NE(order, reverse);
    std::vector<int> sorted = order;
    std::sort(sorted.begin(), sorted.end());
    std::vector<int> each_twice = forward;
    std::sort(each_twice.begin(), each_twice.end());
    EXPECT_EQ(sorted, each_twice);
    orders.push_back(order);
  }
  EXPECT_NE(orders[0], orders[1]);
  EXPECT_EQ(orders[0], orders[2]) << "the same seed, the same order";
}

// Each thread passes its number to the next, and forgets that it must wait before it reads its neighbor's.
struct NeighborStorage {
  int numbers_smem[64];
};

template <bool WAITS>
__global__ void neighbor_kernel(int* out) {
  auto& smem = shared_storage<NeighborStorage>();
  smem.numbers_smem[threadIdx.x] = static_cast<int>(threadIdx.x);
  if constexpr (WAITS) __syncthreads();
  out[threadIdx.x] = smem.numbers_smem[(threadIdx.x + blockDim.x - 1) % blockDim.x];
}

template <bool WAITS>
std::vector<int> neighbors() {
  DeviceArray<int> out(64);
  launch<neighbor_kernel<WAITS>>({1, 64, sizeof(NeighborStorage)}, out.data());
  return out.values();
}

TEST(Scheduler, AMissingBarrierShowsInAnotherOrder) {
  check_races(false);  // the order alone shows it
  std::vector<int> right(64);
  for (int i = 0; i < 64; ++i) right[static_cast<size_t>(i)] = (i + 63) % 64;
  in_every_order([&] { EXPECT_EQ(neighbors<true>(), right); });

  const std::vector<int> forward = neighbors<false>();
  std::vector<int> almost_right = right;
  almost_right[0] = -1;  // only the first finds nothing yet
  EXPECT_EQ(forward, almost_right);
  const WithSchedule with({Order::reverse});
  EXPECT_EQ(neighbors<false>(), std::vector<int>([] {
              std::vector<int> nothing(64, -1);
              nothing[0] = 63;
              return nothing;
            }()));
}

TEST(Scheduler, TakesItsOrderFromTheEnvironment) {
  const auto order_in_a_new_process = [](const char* value) {
    EXPECT_EXIT(
        {
          setenv("LLM_SIMT_SCHEDULE", value, 1);
          try {
            std::exit(thread_order(40).front());
          } catch (const InputError& error) {
            fputs(error.what(), stderr);
            std::exit(2);
          }
        },
        testing::ExitedWithCode(std::string_view(value) == "reverse" ? 39 : 2),
        std::string_view(value) == "reverse" ? "" : "LLM_SIMT_SCHEDULE is .*; it must be forward, reverse or random");
  };
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  order_in_a_new_process("reverse");
  order_in_a_new_process("random:");
  order_in_a_new_process("random:x");
  order_in_a_new_process("backward");
}

__global__ void leave_early_kernel(int* out, int stay) {
  if (static_cast<int>(threadIdx.x) >= stay) return;
  __syncthreads();
  out[threadIdx.x] = static_cast<int>(threadIdx.x) + 1;
}

TEST(Scheduler, ThreadsThatHaveEndedAreNotWaitedFor) {
  in_every_order([] {
    for (const int stay : {1, 31, 33, 64, 100}) {
      DeviceArray<int> out(std::vector<int>(100, 0));
      launch<leave_early_kernel>({1, 100}, out.data(), stay);
      std::vector<int> expected(100, 0);
      for (int i = 0; i < stay; ++i) expected[static_cast<size_t>(i)] = i + 1;
      EXPECT_EQ(out.values(), expected);
    }
  });
}

struct Counted {
  explicit Counted(int* count) : count_(count) { ++*count_; }
  ~Counted() { --*count_; }
  int* count_;
};

__global__ void throw_kernel(int* alive, unsigned thrower) {
  const Counted counted(alive);
  if (threadIdx.x == thrower && blockIdx.x == 1) throw std::invalid_argument("thrown in a kernel");
  __syncthreads();
}

TEST(Scheduler, WhatAThreadThrowsReachesTheLauncher) {
  in_every_order([] {
    for (const unsigned thrower : {0u, 17u, 69u}) {
      int alive = 0;
      EXPECT_THROW(launch<throw_kernel>({3, 70}, &alive, thrower), std::invalid_argument);
      EXPECT_EQ(alive, 0) << "the stacks of the others are unwound";
    }
    expect_each_thread_once({2}, {70});  // and the next kernel runs
  });
}

__global__ void half_a_barrier_kernel() {
  if (threadIdx.x < 40) __syncthreads();
  if (threadIdx.x >= 40) __syncwarp();
}

__global__ void barrier_against_shuffle_kernel() {
  if (threadIdx.x % 32 == 3) {
    __syncthreads();  // "line A"
  } else {
    __shfl_sync(0xffffffff, 1, 0);  // "line B"
  }
}

int line_of(const char* text) {
  FILE* file = fopen(__FILE__, "r");
  char buffer[400];
  int line = 0, found = 0;
  while (file != nullptr && found == 0 && fgets(buffer, sizeof(buffer), file) != nullptr) {
    ++line;
    if (std::string_view(buffer).find(text) != std::string_view::npos) found = line;
  }
  if (file != nullptr) fclose(file);
  return found;
}

TEST(Scheduler, ADeadlockIsToldInASentence) {
  in_every_order([] {
    EXPECT_EQ(
        kernel_error_of([] {
          launch<barrier_against_shuffle_kernel>({dim3(2, 1), 64});
        }),
        fmt::format("kernel barrier_against_shuffle_kernel, block (0, 0, 0): no thread can go on: 62 threads wait "
                    "at __shfl_sync (scheduler_test.cpp:{}) for 2 more; 2 threads wait at __syncthreads "
                    "(scheduler_test.cpp:{}) for 62 more",
                    line_of("// \"line B\""), line_of("// \"line A\"")));
    // Lanes 8 to 31 of warp 1 wait at __syncwarp for its lanes 0 to 7, which wait at the barrier for them.
    const std::string sentence = kernel_error_of([] { launch<half_a_barrier_kernel>({1, 64}); });
    EXPECT_NE(sentence.find("40 threads wait at __syncthreads"), std::string::npos) << sentence;
    EXPECT_NE(sentence.find("24 threads wait at __syncwarp"), std::string::npos) << sentence;
    EXPECT_NE(sentence.find("for 8 more"), std::string::npos) << sentence;
    EXPECT_NE(sentence.find("for 24 more"), std::string::npos) << sentence;
  });
  expect_each_thread_once({2}, {70});
}

}  // namespace
}  // namespace llm::simt
