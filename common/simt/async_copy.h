// cp.async: copies to shared memory whose bytes land when their thread waits for them, and not before.
#pragma once

namespace llm::simt {

// See common/cuda/ptx.cuh.
void start_async_copy(void* smem, const void* global, int bytes, int source_bytes);
void commit_async_copies();
void wait_for_async_copies(int pending_groups);

// For the scheduler: a new block.
void reset_async_copies();

}  // namespace llm::simt
