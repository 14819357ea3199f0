// Runs the threads of one block on one core: each on a fiber, until it waits for others or ends.
#pragma once

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <functional>
#include <source_location>
#include <stdexcept>
#include <string>

#include "common/simt/types.h"

namespace llm::simt {

inline constexpr int kLanes = 32;         // threads of a warp
inline constexpr int kMaxThreads = 1024;  // of a block
inline constexpr int kMaxWarps = kMaxThreads / kLanes;

// The thread that runs: CUDA's built-in variables. A debugger sees them too:
//   break few_rows_kernel.cuh:60 if llm::simt::blockIdx.x == 3 && llm::simt::threadIdx.x == 5
inline uint3 threadIdx, blockIdx;
inline dim3 blockDim, gridDim;
inline constexpr int warpSize = kLanes;

// Which thread goes on where several could. A kernel that is right gives the same result in any order.
enum class Order { forward, reverse, random };

struct Schedule {
  Order order = Order::forward;
  uint64_t seed = 0;  // of a random order
};

// At first it is what the environment says: LLM_SIMT_SCHEDULE=forward, reverse or random:SEED.
void set_schedule(Schedule schedule);

// A kernel did what the device does not allow, or what it may not do deterministically.
class KernelError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// "kernel NAME, block (x, y, z)"
std::string running_block();

template <class... Args>
[[noreturn]] void fail_kernel(fmt::format_string<Args...> format, Args&&... args) {
  throw KernelError(running_block() + ": " + fmt::format(format, std::forward<Args>(args)...));
}

// Where a thread waits.
struct Place {
  const char* operation;
  std::source_location where;

  bool operator==(const Place& other) const;
  std::string to_string() const;  // "__syncthreads (file.cuh:12)"
};

// Threads wait at one of these for others.
struct Rendezvous {
  virtual ~Rendezvous() = default;
  virtual int missing() const = 0;  // threads that still have to come
};

// --- for the operations of threads: warp.cpp, barriers.cpp ---

struct RunningBlock {
  int thread = 0;     // that runs: x + y · blockDim.x + z · blockDim.x · blockDim.y
  int num_alive = 0;  // threads that have not ended
  std::array<uint32_t, kMaxWarps> alive = {}, ready = {};  // a bit a thread: has not ended; could go on
};
inline RunningBlock running;

inline int current_thread() { return running.thread; }
inline int current_lane() { return running.thread % kLanes; }
inline int current_warp() { return running.thread / kLanes; }

// Its threadIdx.
inline uint3 thread_index(int thread) {
  const unsigned index = static_cast<unsigned>(thread);
  return {index % blockDim.x, index / blockDim.x % blockDim.y, index / (blockDim.x * blockDim.y)};
}

void suspend_thread(const Rendezvous& rendezvous, const Place& place);  // until its bit in `ready` is set

// --- for launch.cpp ---

// Runs one block, whose kernel and place the variables above tell. What a thread throws comes out here.
void run_block(const std::string& kernel, const std::function<void()>& body);

}  // namespace llm::simt
