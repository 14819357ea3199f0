// How much each kernel reads from and writes to global memory, before any cache: the loads and stores of its source, as
// the compiler left them, a warp's together where its lanes do the same instruction.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace llm::simt {

struct MemoryCounts {
  uint64_t requests = 0;  // an instruction by a warp
  uint64_t sectors = 0;   // the 32-byte pieces of memory that it touches
  uint64_t bytes = 0;     // that its lanes asked for
};

struct KernelCounts {
  bool library = false;  // a product of cuBLAS: its operands once, no matter how it goes about it
  uint64_t launches = 0, blocks = 0;
  uint64_t barriers = 0;       // how often the barriers of blocks opened
  MemoryCounts loads, stores;  // an atomic operation counts as both
};

// Needs a build whose CUDA sources are instrumented, not asan.
void count_traffic(bool on);
void reset_counts();
const std::map<std::string, KernelCounts>& counts();  // by the kernel's name

// --- for the simulator ---

inline constexpr uint64_t kSectorBytes = 32;

enum class Access { read, write, atomic };

bool is_counting_traffic();
void count_launch(const std::string& kernel, uint64_t blocks);  // what follows is this kernel's
void count_access(Access access, uintptr_t address, size_t size, const void* code);
void count_barrier();
void count_product(const std::string& name, uint64_t bytes_read, uint64_t bytes_written);

// All lanes of the warp have come to the same place: what they did before stands in no request with what they do next.
void end_requests(int warp);
void end_all_requests();

}  // namespace llm::simt
