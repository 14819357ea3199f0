// Whether threads of a block use the same shared memory with nothing between them that orders it: one writes, another
// reads or writes, and no barrier or __syncwarp has them both wait (shuffles and votes order no memory). Found by the
// order that barriers make, the same in every schedule, and not by what happened to go wrong.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/simt/traffic.h"

namespace llm::simt {

// Whether a kernel with a race fails with a KernelError that names both threads and both lines. At first it is what the
// environment says, LLM_SIMT_RACES=check or ignore, and without it races are checked in every build that can: whose
// CUDA sources are instrumented, not asan.
void check_races(bool on);

// --- for the simulator ---

bool is_checking_races();
void start_race_check(size_t shared_size);  // of a grid
void start_block_race_check();
void check_access(Access access, size_t offset, size_t size, const void* code);
void throw_race();  // where one was found

// What orders the accesses of threads.
void order_all_threads();                     // those of the block, before and after
void order_lanes(uint32_t lanes);             // those of the running thread's warp
void release_at_barrier(int id);              // the running thread comes to a barrier of some threads ...
void acquire_at_barrier(int thread, int id);  // ... this one leaves it ...
void reset_barrier_order(int id);             // ... and all have

}  // namespace llm::simt
