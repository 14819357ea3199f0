#include "common/simt/barriers.h"

#include <array>
#include <bit>

#include "common/simt/races.h"
#include "common/simt/traffic.h"

namespace llm::simt {

namespace {

constexpr int kAllThreads = 0;  // what a barrier expects that counts no threads

struct Barrier final : Rendezvous {
  int expected = kAllThreads;
  int arrived = 0;
  int num_true = 0;                         // of the predicates of those who came
  int last_arrived = 0, last_num_true = 0;  // when it opened last
  std::array<uint32_t, kMaxWarps> waiting = {};
  Place place;  // of the first to come

  int missing() const override { return (expected == kAllThreads ? running.num_alive : expected) - arrived; }
};

std::array<Barrier, kNumBarriers> barriers;

int id_of(const Barrier& barrier) { return static_cast<int>(&barrier - barriers.data()); }

void open(Barrier& barrier) {
  count_barrier();
  if (barrier.expected == kAllThreads) {
    end_all_requests();
    order_all_threads();
  }
  for (int warp = 0; warp < kMaxWarps; ++warp) {
    if (barrier.waiting[warp] == 0) continue;
    running.ready[warp] |= barrier.waiting[warp];
    if (barrier.expected == kAllThreads) continue;
    for (uint32_t rest = barrier.waiting[warp]; rest != 0; rest &= rest - 1) {
      acquire_at_barrier(warp * kLanes + std::countr_zero(rest), id_of(barrier));
    }
  }
  if (barrier.expected != kAllThreads) reset_barrier_order(id_of(barrier));
  barrier.last_arrived = barrier.arrived;
  barrier.last_num_true = barrier.num_true;
  barrier.arrived = barrier.num_true = 0;
  barrier.waiting = {};
}

enum class Then { wait, go_on };

void come(Barrier& barrier, int expected, bool predicate, Then then, const Place& place) {
  if (barrier.arrived == 0) {
    barrier.expected = expected;
    barrier.place = place;
  } else if (barrier.expected != expected) {
    fail_kernel(
        "a thread is at {}, which waits for another number of threads than {}, where others wait at the same "
        "barrier",
        place.to_string(), barrier.place.to_string());
  } else if (expected == kAllThreads && !(barrier.place == place)) {
    fail_kernel("a thread is at {} while {} wait at {}: all threads of a block must meet at the same one",
                place.to_string(), barrier.arrived, barrier.place.to_string());
  }
  ++barrier.arrived;
  barrier.num_true += predicate;
  if (expected != kAllThreads) release_at_barrier(id_of(barrier));
  if (then == Then::wait) barrier.waiting[current_warp()] |= 1u << current_lane();
  if (barrier.missing() == 0) open(barrier);
  if (then == Then::wait) suspend_thread(barrier, place);
}

Barrier& sync_all(bool predicate, Place place) {
  come(barriers[0], kAllThreads, predicate, Then::wait, place);
  return barriers[0];
}

void come_to_named(int id, int num_threads, Then then, const Place& place) {
  if (id < 0 || id >= kNumBarriers) fail_kernel("{}: barrier {}, but they are 0 to 15", place.to_string(), id);
  if (num_threads <= 0 || num_threads % kLanes != 0) {
    fail_kernel("{}: a barrier of {} threads, but it must be a multiple of a warp", place.to_string(), num_threads);
  }
  come(barriers[id], num_threads, false, then, place);
}

}  // namespace

void reset_barriers() {
  for (Barrier& barrier : barriers) {
    barrier.arrived = barrier.num_true = 0;
    barrier.waiting = {};
  }
}

void leave_barriers() {
  Barrier& barrier = barriers[0];
  if (barrier.arrived > 0 && barrier.expected == kAllThreads && barrier.missing() == 0) open(barrier);
}

void __syncthreads(std::source_location where) { sync_all(false, {"__syncthreads", where}); }

int __syncthreads_count(int predicate, std::source_location where) {
  return sync_all(predicate != 0, {"__syncthreads_count", where}).last_num_true;
}

int __syncthreads_and(int predicate, std::source_location where) {
  const Barrier& barrier = sync_all(predicate != 0, {"__syncthreads_and", where});
  return barrier.last_num_true == barrier.last_arrived;
}

int __syncthreads_or(int predicate, std::source_location where) {
  return sync_all(predicate != 0, {"__syncthreads_or", where}).last_num_true > 0;
}

void sync_named_barrier(int id, int num_threads, std::source_location where) {
  come_to_named(id, num_threads, Then::wait, {"bar_sync", where});
}

void arrive_named_barrier(int id, int num_threads, std::source_location where) {
  come_to_named(id, num_threads, Then::go_on, {"bar_arrive", where});
}

}  // namespace llm::simt
