#include "common/simt/warp.h"

#include <array>

#include "common/simt/races.h"
#include "common/simt/traffic.h"

namespace llm::simt {

namespace {

struct Meeting final : Rendezvous {
  uint32_t mask = 0, arrived = 0;
  int warp = 0;
  WarpWork work = nullptr;
  Place place;  // of the first to come

  // A lane that has ended is not waited for.
  uint32_t missing_lanes() const { return mask & running.alive[warp] & ~arrived; }
  int missing() const override { return std::popcount(missing_lanes()); }
};

struct Warp {
  uint32_t opened = 0;                   // a bit for each lane that was the first to come to a meeting under way
  std::array<Meeting, kLanes> meetings;  // by that lane
  std::array<void*, kLanes> slots;       // of the lanes that wait
};

std::array<Warp, kMaxWarps> warps;

// The meeting under way of just these lanes, or a new one that this lane opens.
Meeting& meeting_of(int warp, uint32_t mask, int lane, WarpWork work, const Place& place) {
  for (uint32_t rest = warps[warp].opened; rest != 0; rest &= rest - 1) {
    Meeting& meeting = warps[warp].meetings[std::countr_zero(rest)];
    if (meeting.mask == mask) return meeting;
  }
  warps[warp].opened |= 1u << lane;
  Meeting& meeting = warps[warp].meetings[lane];
  meeting.mask = mask;
  meeting.arrived = 0;
  meeting.warp = warp;
  meeting.work = work;
  meeting.place = place;
  return meeting;
}

void end_meeting(Meeting& meeting) {
  Warp& warp = warps[meeting.warp];
  meeting.work(warp.slots.data(), meeting.arrived);
  if (meeting.arrived == running.alive[meeting.warp]) end_requests(meeting.warp);
  running.ready[meeting.warp] |= meeting.arrived;
  warp.opened &= ~(1u << (&meeting - warp.meetings.data()));
}

}  // namespace

void reset_meetings() {
  for (Warp& warp : warps) warp.opened = 0;
}

void leave_meetings(int warp) {
  for (uint32_t rest = warps[warp].opened; rest != 0; rest &= rest - 1) {
    Meeting& meeting = warps[warp].meetings[std::countr_zero(rest)];
    if (meeting.missing_lanes() == 0) end_meeting(meeting);
  }
}

void meet(uint32_t mask, WarpWork work, void* slot, const Place& place) {
  const int warp = current_warp(), lane = current_lane();
  if ((mask >> lane & 1) == 0) {
    fail_kernel("lane {} of warp {} is at {} with the mask {:#010x}, in which it is not", lane, warp, place.to_string(),
                mask);
  }
  Meeting& meeting = meeting_of(warp, mask, lane, work, place);
  if (meeting.work != work) {
    fail_kernel("lane {} of warp {} is at {}, but others of the mask {:#010x} are at {}", lane, warp, place.to_string(),
                mask, meeting.place.to_string());
  }
  warps[warp].slots[lane] = slot;
  meeting.arrived |= 1u << lane;
  if (meeting.missing_lanes() == 0) end_meeting(meeting);
  suspend_thread(meeting, place);
}

namespace {

struct ShuffleSlot {
  uint64_t value, result;
  int source;
};

void shuffle_slots(void* const* slots, uint32_t lanes) {
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    auto* slot = static_cast<ShuffleSlot*>(slots[std::countr_zero(rest)]);
    const bool takes_part = lanes >> slot->source & 1;
    slot->result = takes_part ? static_cast<const ShuffleSlot*>(slots[slot->source])->value : ~uint64_t{0};
  }
}

struct BallotSlot {
  bool predicate;
  uint32_t result;
};

void ballot_slots(void* const* slots, uint32_t lanes) {
  uint32_t result = 0;
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    if (static_cast<const BallotSlot*>(slots[lane])->predicate) result |= 1u << lane;
  }
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    static_cast<BallotSlot*>(slots[std::countr_zero(rest)])->result = result;
  }
}

}  // namespace

uint64_t shuffle(uint32_t mask, uint64_t bits, int source, const Place& place) {
  ShuffleSlot slot{bits, 0, source};
  meet(mask, shuffle_slots, &slot, place);
  return slot.result;
}

unsigned __ballot_sync(unsigned mask, int predicate, std::source_location where) {
  BallotSlot slot{predicate != 0, 0};
  meet(mask, ballot_slots, &slot, {"__ballot_sync", where});
  return slot.result;
}

void __syncwarp(unsigned mask, std::source_location where) {
  meet(mask, [](void* const*, uint32_t lanes) { order_lanes(lanes); }, nullptr, {"__syncwarp", where});
}

}  // namespace llm::simt
