// The barriers of a block: __syncthreads is barrier 0 with all threads; PTX names 16 (common/cuda/ptx.cuh).
#pragma once

#include <source_location>

#include "common/simt/scheduler.h"

namespace llm::simt {

inline constexpr int kNumBarriers = 16;

// A thread that has ended is not waited for.
void __syncthreads(std::source_location where = std::source_location::current());
// The same in all threads: in how many `predicate` is not 0, whether in all, whether in any.
int __syncthreads_count(int predicate, std::source_location where = std::source_location::current());
int __syncthreads_and(int predicate, std::source_location where = std::source_location::current());
int __syncthreads_or(int predicate, std::source_location where = std::source_location::current());

// Barrier `id` opens when `num_threads`, a multiple of 32, have come; those who arrive do not wait.
void sync_named_barrier(int id, int num_threads, std::source_location where);
void arrive_named_barrier(int id, int num_threads, std::source_location where);

// For the scheduler: a new block; a thread has ended.
void reset_barriers();
void leave_barriers();

}  // namespace llm::simt
