// What the lanes of a warp do together: shuffles, votes, sums. Each is a meeting of the lanes in the mask, and none is
// done before all of them that have not ended are there. None but __syncwarp orders accesses to memory (CUDA C++
// Programming Guide, "Warp Shuffle Functions").
#pragma once

#include <bit>
#include <cstring>
#include <source_location>

#include "common/simt/scheduler.h"

namespace llm::simt {

// A warp operation's work, done once for all lanes that take part: slots[lane] is what that lane brought.
using WarpWork = void (*)(void* const* slots, uint32_t lanes);

// Waits for the other lanes in `mask`.
void meet(uint32_t mask, WarpWork work, void* slot, const Place& place);

// For the scheduler: a new block; a thread of this warp has ended.
void reset_meetings();
void leave_meetings(int warp);

void __syncwarp(unsigned mask = 0xffffffff, std::source_location where = std::source_location::current());

// A bit for each lane in the mask whose `predicate` is not 0.
unsigned __ballot_sync(unsigned mask, int predicate, std::source_location where = std::source_location::current());

inline int __any_sync(unsigned mask, int predicate, std::source_location where = std::source_location::current()) {
  return __ballot_sync(mask, predicate, where) != 0;
}

inline int __all_sync(unsigned mask, int predicate, std::source_location where = std::source_location::current()) {
  return __ballot_sync(mask, !predicate, where) == 0;
}

// The lanes that happen to run together: here a lane runs alone, which is one of the answers that a device may give.
inline unsigned __activemask() { return 1u << current_thread() % kLanes; }

// The bits of the value that lane `source` of this warp brought. From a lane that is not in the mask or has ended, all
// ones, where the device promises nothing.
uint64_t shuffle(uint32_t mask, uint64_t bits, int source, const Place& place);

// The lane of the same segment of `width` lanes, a power of two, that a shuffle reads from.
inline int lane_by_index(int index, int width) {
  const int first = current_lane() & ~(width - 1);
  return first + (index & (width - 1));
}
inline int lane_up(unsigned delta, int width) {
  const int lane = current_lane(), first = lane & ~(width - 1);
  return lane - static_cast<int>(delta) < first ? lane : lane - static_cast<int>(delta);
}
inline int lane_down(unsigned delta, int width) {
  const int lane = current_lane(), last = lane | (width - 1);
  return lane + static_cast<int>(delta) > last ? lane : lane + static_cast<int>(delta);
}
// A lane of a later segment can't be read, one of an earlier can.
inline int lane_xor(int bits, int width) {
  const int lane = current_lane(), last = lane | (width - 1);
  return (lane ^ bits) > last ? lane : lane ^ bits;
}

// A shuffle of numbers up to 8 bytes.
template <class T>
T shuffle_value(uint32_t mask, T value, int source, const Place& place) {
  static_assert(sizeof(T) <= sizeof(uint64_t));
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = shuffle(mask, bits, source, place);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = warpSize,
              std::source_location where = std::source_location::current()) {
  return shuffle_value(mask, value, lane_by_index(source, width), {"__shfl_sync", where});
}

template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = warpSize,
                 std::source_location where = std::source_location::current()) {
  return shuffle_value(mask, value, lane_up(delta, width), {"__shfl_up_sync", where});
}

template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = warpSize,
                   std::source_location where = std::source_location::current()) {
  return shuffle_value(mask, value, lane_down(delta, width), {"__shfl_down_sync", where});
}

template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = warpSize,
                  std::source_location where = std::source_location::current()) {
  return shuffle_value(mask, value, lane_xor(bits, width), {"__shfl_xor_sync", where});
}

// Over the lanes of the mask, the same result in each.
template <class T>
struct ReduceSlot {
  T value;
};

template <class T, T (*combine)(T, T)>
void reduce_slots(void* const* slots, uint32_t lanes) {
  const auto value = [slots](uint32_t rest) -> T& {
    return static_cast<ReduceSlot<T>*>(slots[std::countr_zero(rest)])->value;
  };
  T result = value(lanes);
  for (uint32_t rest = lanes & (lanes - 1); rest != 0; rest &= rest - 1) result = combine(result, value(rest));
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) value(rest) = result;
}

template <class T, T (*combine)(T, T)>
T reduce(uint32_t mask, T value, const Place& place) {
  ReduceSlot<T> slot{value};
  meet(mask, reduce_slots<T, combine>, &slot, place);
  return slot.value;
}

template <class T>
T sum_of_two(T a, T b) {
  return static_cast<T>(static_cast<unsigned>(a) + static_cast<unsigned>(b));  // wraps around, as on the device
}
template <class T>
T smaller_of_two(T a, T b) {
  return a < b ? a : b;
}
template <class T>
T larger_of_two(T a, T b) {
  return a > b ? a : b;
}

// T: int or unsigned.
template <class T>
T __reduce_add_sync(unsigned mask, T value, std::source_location where = std::source_location::current()) {
  return reduce<T, sum_of_two<T>>(mask, value, {"__reduce_add_sync", where});
}
template <class T>
T __reduce_min_sync(unsigned mask, T value, std::source_location where = std::source_location::current()) {
  return reduce<T, smaller_of_two<T>>(mask, value, {"__reduce_min_sync", where});
}
template <class T>
T __reduce_max_sync(unsigned mask, T value, std::source_location where = std::source_location::current()) {
  return reduce<T, larger_of_two<T>>(mask, value, {"__reduce_max_sync", where});
}

}  // namespace llm::simt
