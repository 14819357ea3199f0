#include "common/simt/traffic.h"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <vector>

#include "common/simt/scheduler.h"

namespace llm::simt {

namespace {

constexpr size_t kWidestAccess = 16;  // of a lane, in bytes

// One instruction by the lanes of a warp: the sectors they touch, each once. A lane touches two at most.
struct Request {
  int num_sectors = 0;
  std::array<uintptr_t, 2 * kLanes> sectors;

  void touch(uintptr_t sector) {
    for (int i = num_sectors - 1; i >= 0; --i) {  // the neighbor's sector is the likeliest
      if (sectors[i] == sector) return;
    }
    sectors[num_sectors++] = sector;
  }
};

// A load or store in the kernel's code. Lanes run one after the other: the n-th time that one comes here since the warp
// was last together belongs with the n-th time of the others.
struct Instruction {
  bool is_load = true;
  std::array<uint32_t, kLanes> times = {};
  std::vector<Request> requests;  // kept for the next time round; the first num_requests are in use
  size_t num_requests = 0;

  Request& request_of(int lane) {
    const size_t index = times[lane]++;
    if (index == num_requests) {
      if (index == requests.size()) requests.emplace_back();
      requests[num_requests++].num_sectors = 0;
    }
    return requests[index];
  }
};

struct Warp {
  std::vector<Instruction> instructions;  // by their number
  std::vector<size_t> touched;            // those with requests
};

// Numbers the instructions from 0 on.
class InstructionNumbers {
 public:
  size_t operator[](uintptr_t key) {
    Entry& recent = recent_[key / 4 % recent_.size()];
    if (recent.key != key) recent = {key, all_.try_emplace(key, all_.size()).first->second};
    return recent.number;
  }

 private:
  struct Entry {
    uintptr_t key = 0;
    size_t number = 0;
  };
  std::array<Entry, 1024> recent_;
  std::unordered_map<uintptr_t, size_t> all_;
};

bool on = false;
std::map<std::string, KernelCounts> all_counts;
KernelCounts* counted = nullptr;
InstructionNumbers numbers;
std::array<Warp, kMaxWarps> warps;

void count_request(bool is_load, uintptr_t address, size_t size, uintptr_t code) {
  const int thread = current_thread();
  Warp& warp = warps[thread / kLanes];
  const size_t number = numbers[code * 2 + is_load];
  if (number >= warp.instructions.size()) warp.instructions.resize(number + 1);
  Instruction& instruction = warp.instructions[number];
  if (instruction.num_requests == 0) {
    instruction.is_load = is_load;
    warp.touched.push_back(number);
  }
  Request& request = instruction.request_of(thread % kLanes);
  request.touch(address / kSectorBytes);
  const uintptr_t last = (address + size - 1) / kSectorBytes;
  if (last != address / kSectorBytes) request.touch(last);
  (is_load ? counted->loads : counted->stores).bytes += size;
}

}  // namespace

void count_traffic(bool count) { on = count; }
bool is_counting_traffic() { return on; }
void reset_counts() { all_counts.clear(); }
const std::map<std::string, KernelCounts>& counts() { return all_counts; }

void count_launch(const std::string& kernel, uint64_t blocks) {
  if (!on) return;
  counted = &all_counts[kernel];
  ++counted->launches;
  counted->blocks += blocks;
}

void count_access(Access access, uintptr_t address, size_t size, const void* code) {
  const auto place = reinterpret_cast<uintptr_t>(code);
  // A device has no wider load than 16 bytes: more is several instructions.
  for (size_t offset = 0; offset < size; offset += kWidestAccess) {
    const size_t part = std::min(size - offset, kWidestAccess);
    if (access != Access::write) count_request(true, address + offset, part, place + offset);
    if (access != Access::read) count_request(false, address + offset, part, place + offset);
  }
}

void count_barrier() {
  if (on) ++counted->barriers;
}

void count_product(const std::string& name, uint64_t bytes_read, uint64_t bytes_written) {
  if (!on) return;
  const auto sectors = [](uint64_t bytes) { return (bytes + kSectorBytes - 1) / kSectorBytes; };
  KernelCounts& product = all_counts[name];
  product.library = true;
  ++product.launches;
  product.loads.bytes += bytes_read;
  product.loads.sectors += sectors(bytes_read);
  product.stores.bytes += bytes_written;
  product.stores.sectors += sectors(bytes_written);
}

void end_requests(int warp_index) {
  Warp& warp = warps[warp_index];
  for (const size_t number : warp.touched) {
    Instruction& instruction = warp.instructions[number];
    MemoryCounts& memory = instruction.is_load ? counted->loads : counted->stores;
    memory.requests += instruction.num_requests;
    for (size_t i = 0; i < instruction.num_requests; ++i) {
      memory.sectors += static_cast<uint64_t>(instruction.requests[i].num_sectors);
    }
    instruction.num_requests = 0;
    instruction.times = {};
  }
  warp.touched.clear();
}

void end_all_requests() {
  for (int warp = 0; warp < kMaxWarps; ++warp) end_requests(warp);
}

}  // namespace llm::simt
