#include "common/simt/async_copy.h"

#include <array>
#include <cstring>
#include <deque>
#include <utility>
#include <vector>

#include "common/simt/access_hooks.h"
#include "common/simt/scheduler.h"

namespace llm::simt {

namespace {

struct Copy {
  char* to;
  int size;
  std::array<char, 16> bytes;
  const void* code;  // that started it
};

struct Queue {
  std::vector<Copy> open;                   // not yet committed
  std::deque<std::vector<Copy>> committed;  // the groups under way, the oldest first
};

std::array<Queue, kMaxThreads> queues;
bool any = false;

bool is_multiple(const void* address, int bytes) {
  return reinterpret_cast<uintptr_t>(address) % static_cast<uintptr_t>(bytes) == 0;
}

}  // namespace

void reset_async_copies() {
  if (!any) return;
  for (Queue& queue : queues) queue = {};
  any = false;
}

void start_async_copy(void* smem, const void* global, int bytes, int source_bytes) {
  if (!is_multiple(smem, bytes) || !is_multiple(global, bytes)) {
    fail_kernel("cp_async of {} bytes to {} from {}: both must be a multiple of {}", bytes, smem, global, bytes);
  }
  if (source_bytes < 0 || source_bytes > bytes) {
    fail_kernel("cp_async of {} bytes of which {} come from the source", bytes, source_bytes);
  }
  any = true;
  Copy copy{static_cast<char*>(smem), bytes, {}, __builtin_return_address(0)};
  if (source_bytes > 0) {
    std::memcpy(copy.bytes.data(), global, static_cast<size_t>(source_bytes));
    note_read(global, static_cast<size_t>(source_bytes), copy.code);
  }
  // From now on until the wait nobody else may use these bytes. AddressSanitizer is asked here, where the line tells
  // most.
  note_write(copy.to, static_cast<size_t>(bytes), copy.code);
  static_cast<void>(*static_cast<volatile char*>(copy.to + bytes - 1));
  queues[current_thread()].open.push_back(copy);
}

void commit_async_copies() {
  Queue& queue = queues[current_thread()];
  queue.committed.push_back(std::exchange(queue.open, {}));
}

void wait_for_async_copies(int pending_groups) {
  Queue& queue = queues[current_thread()];
  while (queue.committed.size() > static_cast<size_t>(pending_groups)) {
    for (const Copy& copy : queue.committed.front()) {
      std::memcpy(copy.to, copy.bytes.data(), static_cast<size_t>(copy.size));
      note_write(copy.to, static_cast<size_t>(copy.size), copy.code);
    }
    queue.committed.pop_front();
  }
}

}  // namespace llm::simt
