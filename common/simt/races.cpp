#include "common/simt/races.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <vector>

#include "common/error.h"
#include "common/simt/access_hooks.h"
#include "common/simt/barriers.h"
#include "common/simt/scheduler.h"
#include "common/simt/source_line.h"

namespace llm::simt {

namespace {

// The smallest number that our kernels keep in shared memory: two threads that use one half each do not meet.
constexpr size_t kGrainBytes = 2;

// Where a thread stands in time: how often it has been ordered with some other threads since the last barrier of all.
using Time = uint32_t;

struct Read {
  Time time = 0;  // 0: none
  int32_t code = 0;
};

// The accesses to a grain since the last barrier of all: later ones are ordered after whatever was before it.
struct Grain {
  uint64_t write_epoch = 0, read_epoch = 0;  // in which the fields below say something
  bool write_is_atomic = false;
  int writer = 0;
  Time write_time = 0;
  const void* write_code = nullptr;
  uint32_t reading_warps = 0;  // a bit for each warp of which a thread has read it since it was written
};

struct Party {
  int thread;
  bool writes;
  const void* code;
};

struct Race {
  size_t offset;
  Party first, second;
};

bool asked = false;  // by check_races, or else by the environment
bool on = false;
int num_threads = 0;
uint64_t epoch = 0;  // counts blocks, and barriers of all threads
std::vector<Grain> grains;
std::vector<Read> reads;  // [grains, threads]
std::optional<Race> race;

// Vector clocks (Mattern, "Virtual Time and Global States of Distributed Systems", 1989): known[t][u] is the time of
// thread u up to which all it did is ordered before what t does now. known[t][t] is t's own time.
std::vector<Time> known;  // [threads, threads]
std::array<std::vector<Time>, kNumBarriers> barrier_known;
bool clocks_are_new = false;

bool environment_asks() {
  const char* const text = std::getenv("LLM_SIMT_RACES");
  if (text == nullptr) return sources_are_instrumented();
  if (std::string_view(text) == "ignore") return false;
  if (std::string_view(text) != "check") fail_input("LLM_SIMT_RACES is \"{}\"; it must be check or ignore", text);
  if (!sources_are_instrumented()) {
    fail_input(
        "LLM_SIMT_RACES is check, but a build with AddressSanitizer can't see races; use a release or debug build");
  }
  return true;
}

// A code address as an offset, which is shorter.
int32_t shortened(const void* code) {
  return static_cast<int32_t>(static_cast<const char*>(code) - reinterpret_cast<const char*>(&check_races));
}
const void* lengthened(int32_t code) { return reinterpret_cast<const char*>(&check_races) + code; }

Time* clock_of(int thread) { return known.data() + static_cast<size_t>(thread) * static_cast<size_t>(num_threads); }

void join(Time* into, const Time* from) {
  for (int thread = 0; thread < num_threads; ++thread) into[thread] = std::max(into[thread], from[thread]);
}

void start_epoch() {
  ++epoch;
  if (clocks_are_new) return;
  std::fill(known.begin(), known.end(), 0);
  for (int thread = 0; thread < num_threads; ++thread) clock_of(thread)[thread] = 1;
  clocks_are_new = true;
}

void check_grain(Access access, size_t index, const void* code) {
  const int me = current_thread();
  Grain& grain = grains[index];
  Read* const reads_of_grain = reads.data() + index * static_cast<size_t>(num_threads);
  const Time* const mine = clock_of(me);
  const auto found = [&](const Party& other) {
    race = Race{index * kGrainBytes, other, {me, access != Access::read, code}};
  };

  const bool both_atomic = access == Access::atomic && grain.write_is_atomic;
  if (grain.write_epoch == epoch && !both_atomic && grain.write_time > mine[grain.writer]) {
    return found({grain.writer, true, grain.write_code});
  }
  if (access == Access::read) {
    if (grain.read_epoch != epoch) {
      grain.read_epoch = epoch;
      grain.reading_warps = 0;
    }
    const uint32_t warp_bit = 1u << me / kLanes;
    if ((grain.reading_warps & warp_bit) == 0) {
      grain.reading_warps |= warp_bit;
      const int first = me / kLanes * kLanes;
      std::fill(reads_of_grain + first, reads_of_grain + std::min(first + kLanes, num_threads), Read{});
    }
    reads_of_grain[me] = {mine[me], shortened(code)};
    return;
  }
  if (grain.read_epoch == epoch) {
    for (uint32_t rest = grain.reading_warps; rest != 0; rest &= rest - 1) {
      const int first = std::countr_zero(rest) * kLanes;
      for (int other = first; other < std::min(first + kLanes, num_threads); ++other) {
        if (other != me && reads_of_grain[other].time > mine[other]) {
          return found({other, false, lengthened(reads_of_grain[other].code)});
        }
      }
    }
  }
  // Who is ordered after this write is ordered after the reads before it.
  grain.read_epoch = 0;
  grain.write_epoch = epoch;
  grain.write_is_atomic = access == Access::atomic;
  grain.writer = me;
  grain.write_time = mine[me];
  grain.write_code = code;
}

std::string describe(const Party& party) {
  const uint3 index = thread_index(party.thread);
  return fmt::format("thread ({}, {}, {}) {} it at {}", index.x, index.y, index.z, party.writes ? "writes" : "reads",
                     source_line(party.code));
}

}  // namespace

void check_races(bool check) {
  asked = true;
  on = check;
}
bool is_checking_races() { return on; }

void start_race_check(size_t shared_size) {
  if (!asked) check_races(environment_asks());
  if (!on) return;
  num_threads = static_cast<int>(blockDim.x * blockDim.y * blockDim.z);
  const size_t num_grains = (shared_size + kGrainBytes - 1) / kGrainBytes, threads = static_cast<size_t>(num_threads);
  grains.assign(num_grains, {});
  if (reads.size() < num_grains * threads) reads.resize(num_grains * threads);  // what is old in it is never looked at
  known.assign(threads * threads, 0);
  for (std::vector<Time>& clock : barrier_known) clock.assign(threads, 0);
  clocks_are_new = false;
  race.reset();
}

void start_block_race_check() {
  if (on) start_epoch();
}

void check_access(Access access, size_t offset, size_t size, const void* code) {
  const size_t end = std::min((offset + size - 1) / kGrainBytes + 1, grains.size());
  for (size_t index = offset / kGrainBytes; index < end && !race; ++index) check_grain(access, index, code);
}

void throw_race() {
  if (!race) return;
  const Race found = *race;
  race.reset();
  fail_kernel("a race on shared memory, byte {}: {}, {}, and no barrier is between them", found.offset,
              describe(found.first), describe(found.second));
}

void order_all_threads() {
  if (on) start_epoch();
}

void order_lanes(uint32_t lanes) {
  if (!on) return;
  clocks_are_new = false;
  const int first = current_thread() / kLanes * kLanes;
  std::vector<Time> joined(static_cast<size_t>(num_threads));
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1)
    join(joined.data(), clock_of(first + std::countr_zero(rest)));
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    const int thread = first + std::countr_zero(rest);
    std::copy(joined.begin(), joined.end(), clock_of(thread));
    ++clock_of(thread)[thread];
  }
}

void release_at_barrier(int id) {
  if (!on) return;
  clocks_are_new = false;
  const int thread = current_thread();
  join(barrier_known[id].data(), clock_of(thread));
  ++clock_of(thread)[thread];
}

void acquire_at_barrier(int thread, int id) {
  if (on) join(clock_of(thread), barrier_known[id].data());
}

void reset_barrier_order(int id) {
  if (on) std::fill(barrier_known[id].begin(), barrier_known[id].end(), 0);
}

}  // namespace llm::simt
