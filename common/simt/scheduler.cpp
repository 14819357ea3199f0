#include "common/simt/scheduler.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "common/error.h"
#include "common/simt/async_copy.h"
#include "common/simt/barriers.h"
#include "common/simt/fiber.h"
#include "common/simt/warp.h"

namespace llm::simt {

namespace {

Schedule schedule_of_environment() {
  const char* text = std::getenv("LLM_SIMT_SCHEDULE");
  if (text == nullptr || std::string_view(text) == "forward") return {};
  const std::string_view value = text, random = "random:";
  if (value == "reverse") return {Order::reverse};
  if (value.starts_with(random)) {
    Schedule schedule{Order::random};
    const char* end = value.data() + value.size();
    const auto [rest, error] = std::from_chars(value.data() + random.size(), end, schedule.seed);
    if (error == std::errc{} && rest == end) return schedule;
  }
  fail_input("LLM_SIMT_SCHEDULE is \"{}\"; it must be forward, reverse or random:SEED, with a number as the seed",
             value);
}

// Thrown out of where a thread waits when its block has failed, so that its destructors run.
struct Abandoned {};

struct Thread {
  uint3 index;
  Fiber* fiber = nullptr;  // null until it starts
  Place place;             // where it waits, or waited last
  const Rendezvous* rendezvous = nullptr;
};

class Scheduler {
 public:
  void set(Schedule schedule) {
    schedule_ = schedule;
    random_.seed(schedule.seed);
  }
  void run(const std::string& kernel, const std::function<void()>& body);
  void suspend(const Rendezvous& rendezvous, const Place& place);
  const std::string& kernel() const { return kernel_; }

 private:
  void start_block();
  void enter(int thread);
  void switch_from(Fiber& fiber, int thread);
  template <class Step>
  void guarded(const Step& step);
  void end_thread();
  void work(Fiber& fiber);
  Fiber& idle_fiber();
  int pick();
  int pick_from(int first_warp);
  std::string describe_deadlock() const;
  void abandon();

  std::optional<Schedule> schedule_;
  std::mt19937_64 random_;

  std::string kernel_;
  const std::function<void()>* body_ = nullptr;
  int num_threads_ = 0, num_warps_ = 0;
  std::array<Thread, kMaxThreads> threads_;
  std::exception_ptr failure_;
  bool abandoning_ = false;

  Fiber launcher_;
  std::vector<std::unique_ptr<Fiber>> fibers_;  // kept from block to block
  std::vector<Fiber*> idle_;
};

// Lives until the process ends, with the stacks of its fibers.
Scheduler& scheduler = *new Scheduler;

void Scheduler::start_block() {
  if (!schedule_) set(schedule_of_environment());
  num_threads_ = static_cast<int>(blockDim.x * blockDim.y * blockDim.z);
  num_warps_ = (num_threads_ + kLanes - 1) / kLanes;
  running.num_alive = num_threads_;
  for (int warp = 0; warp < num_warps_; ++warp) {
    const int lanes = std::min(num_threads_ - warp * kLanes, kLanes);
    running.alive[warp] = running.ready[warp] = static_cast<uint32_t>((uint64_t{1} << lanes) - 1);
  }
  for (int i = 0; i < num_threads_; ++i) {
    threads_[i].index = thread_index(i);
    threads_[i].fiber = nullptr;
  }
  reset_meetings();
  reset_barriers();
  reset_async_copies();
}

void Scheduler::run(const std::string& kernel, const std::function<void()>& body) {
  kernel_ = kernel;
  body_ = &body;
  start_block();
  switch_from(launcher_, pick());  // and back when no thread can go on
  if (!failure_ && running.num_alive > 0) {
    failure_ = std::make_exception_ptr(KernelError(running_block() + ": " + describe_deadlock()));
  }
  if (failure_) {
    abandon();
    std::rethrow_exception(std::exchange(failure_, nullptr));
  }
}

void Scheduler::enter(int thread) {
  running.thread = thread;
  threadIdx = threads_[thread].index;
}

// Lets `thread` go on, or the launcher where it is -1.
void Scheduler::switch_from(Fiber& fiber, int thread) {
  if (thread < 0 || failure_) return fiber.switch_to(launcher_);
  if (threads_[thread].fiber == nullptr) threads_[thread].fiber = &idle_fiber();
  enter(thread);
  fiber.switch_to(*threads_[thread].fiber);
}

// Keeps what `step` throws, for the launcher.
template <class Step>
void Scheduler::guarded(const Step& step) {
  try {
    step();
  } catch (const Abandoned&) {
  } catch (...) {
    if (!failure_) failure_ = std::current_exception();
  }
}

// Others may have waited for nobody else.
void Scheduler::end_thread() {
  const int warp = current_warp();
  --running.num_alive;
  running.alive[warp] &= ~(1u << current_lane());
  guarded([warp] {
    leave_meetings(warp);
    leave_barriers();
  });
}

// What a fiber does all its life: it runs threads, one after the other, as long as none has to wait.
void Scheduler::work(Fiber& fiber) {
  for (;;) {
    guarded(*body_);
    int next = -1;
    if (!abandoning_) {
      end_thread();
      next = pick();
      if (next >= 0 && threads_[next].fiber == nullptr && !failure_) {
        threads_[next].fiber = &fiber;
        enter(next);
        continue;
      }
    }
    idle_.push_back(&fiber);
    switch_from(fiber, next);
  }
}

Fiber& Scheduler::idle_fiber() {
  if (idle_.empty()) {
    const size_t index = fibers_.size();
    fibers_.push_back(std::make_unique<Fiber>(index, [this, index] { work(*fibers_[index]); }));
    return *fibers_.back();
  }
  Fiber* const fiber = idle_.back();
  idle_.pop_back();
  return *fiber;
}

void Scheduler::suspend(const Rendezvous& rendezvous, const Place& place) {
  const int thread = current_thread();
  threads_[thread].rendezvous = &rendezvous;
  threads_[thread].place = place;
  const int next = pick();
  if (next != thread) switch_from(*threads_[thread].fiber, next);
  if (abandoning_) throw Abandoned{};
}

// Takes a thread that can go on, in the schedule's order; -1 where there is none.
int Scheduler::pick() {
  if (schedule_->order != Order::random) return pick_from(0);
  const int start = static_cast<int>(random_() % static_cast<uint64_t>(num_threads_));
  uint32_t& lanes = running.ready[start / kLanes];
  const uint32_t from_start = lanes & ~0u << start % kLanes;
  if (from_start == 0) return pick_from(start / kLanes + 1);
  lanes &= ~(from_start & -from_start);
  return start / kLanes * kLanes + std::countr_zero(from_start);
}

// The first thread that can go on from a warp on, around and back to it; in reverse order the last.
int Scheduler::pick_from(int first_warp) {
  const bool reverse = schedule_->order == Order::reverse;
  for (int i = 0; i < num_warps_; ++i) {
    const int warp = reverse                       ? num_warps_ - 1 - i
                     : first_warp + i < num_warps_ ? first_warp + i
                                                   : first_warp + i - num_warps_;
    uint32_t& lanes = running.ready[warp];
    if (lanes == 0) continue;
    const int lane = reverse ? 31 - std::countl_zero(lanes) : std::countr_zero(lanes);
    lanes &= ~(1u << lane);
    return warp * kLanes + lane;
  }
  return -1;
}

bool is_alive(int thread) { return running.alive[thread / kLanes] >> thread % kLanes & 1; }

std::string Scheduler::describe_deadlock() const {
  std::string text = "no thread can go on";
  const char* separator = ":";
  std::vector<bool> told(static_cast<size_t>(num_threads_));
  for (int first = 0; first < num_threads_; ++first) {
    if (!is_alive(first) || told[first]) continue;
    int waiting = 0, missing = 0;
    std::set<const Rendezvous*> seen;
    for (int thread = first; thread < num_threads_; ++thread) {
      if (!is_alive(thread) || !(threads_[thread].place == threads_[first].place)) continue;
      told[thread] = true;
      ++waiting;
      if (seen.insert(threads_[thread].rendezvous).second) missing += threads_[thread].rendezvous->missing();
    }
    text += fmt::format("{} {} thread{} wait{} at {} for {} more", separator, waiting, waiting == 1 ? "" : "s",
                        waiting == 1 ? "s" : "", threads_[first].place.to_string(), missing);
    separator = ";";
  }
  return text;
}

// Unwinds the stacks of the threads that wait.
void Scheduler::abandon() {
  abandoning_ = true;
  for (int thread = 0; thread < num_threads_; ++thread) {
    if (!is_alive(thread) || threads_[thread].fiber == nullptr) continue;
    enter(thread);
    launcher_.switch_to(*threads_[thread].fiber);
  }
  abandoning_ = false;
}

}  // namespace

bool Place::operator==(const Place& other) const {
  return std::string_view(operation) == other.operation && where.line() == other.where.line() &&
         std::string_view(where.file_name()) == other.where.file_name();
}

std::string Place::to_string() const {
  return fmt::format("{} ({}:{})", operation, std::filesystem::path(where.file_name()).filename().string(),
                     where.line());
}

void set_schedule(Schedule schedule) { scheduler.set(schedule); }

std::string running_block() {
  return fmt::format("kernel {}, block ({}, {}, {})", scheduler.kernel(), blockIdx.x, blockIdx.y, blockIdx.z);
}

void suspend_thread(const Rendezvous& rendezvous, const Place& place) { scheduler.suspend(rendezvous, place); }

void run_block(const std::string& kernel, const std::function<void()>& body) { scheduler.run(kernel, body); }

}  // namespace llm::simt
