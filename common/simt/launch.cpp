#include "common/simt/launch.h"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <string_view>

#include "common/simt/access_hooks.h"
#include "common/simt/poison.h"
#include "common/simt/races.h"
#include "common/simt/traffic.h"

namespace llm::simt {

namespace {

constexpr size_t kSharedAlignment = 128;  // what bulk copies ask for

struct Grid {
  std::string kernel;
  dim3 grid, block;
  size_t smem;
};

struct SharedMemory {
  std::unique_ptr<void, decltype(&std::free)> bytes{nullptr, std::free};
  size_t size = 0;

  // Of just this size, so that AddressSanitizer sees an access beyond it.
  explicit SharedMemory(size_t size) : size(size) {
    void* memory = nullptr;
    if (posix_memalign(&memory, kSharedAlignment, size) != 0) throw std::bad_alloc();
    bytes.reset(memory);
  }
};

const SharedMemory* running_shared_memory = nullptr;  // null where no kernel runs

// What a device refuses with cudaErrorInvalidConfiguration or cudaErrorInvalidValue.
void require_launchable(const Grid& g) {
  const auto fail = [&g](const std::string& reason) { throw KernelError("kernel " + g.kernel + ": " + reason); };
  const uint64_t threads = uint64_t{g.block.x} * g.block.y * g.block.z;
  if (threads == 0 || threads > kMaxThreads || g.block.z > 64) {
    fail(fmt::format("a block of {} x {} x {} threads; 1 to {} are possible, and 64 at most in z", g.block.x, g.block.y,
                     g.block.z, kMaxThreads));
  }
  if (g.grid.x == 0 || g.grid.x > 0x7fffffff || g.grid.y == 0 || g.grid.y > 65535 || g.grid.z == 0 ||
      g.grid.z > 65535) {
    fail(fmt::format("a grid of {} x {} x {} blocks; 1 to 2147483647 x 65535 x 65535 are possible", g.grid.x, g.grid.y,
                     g.grid.z));
  }
  if (g.smem > kMaxSharedBytes) {
    fail(fmt::format("{} bytes of shared memory a block; {} are possible", g.smem, kMaxSharedBytes));
  }
}

// A race is told first: what else went wrong may come from it.
void run_watched_block(const std::string& kernel, const std::function<void()>& body) {
  start_block_race_check();
  try {
    run_block(kernel, body);
  } catch (...) {
    throw_race();
    throw;
  }
  throw_race();
  end_all_requests();
}

void run_grid(const Grid& g, const std::function<void()>& body) {
  static std::mutex one_at_a_time;  // the built-in variables are there once
  static thread_local bool running = false;
  if (running) throw KernelError("kernel " + g.kernel + ": started from within a kernel, which is not simulated");
  const std::lock_guard lock(one_at_a_time);
  const SharedMemory shared(g.smem);
  running = true;
  running_shared_memory = &shared;
  const auto finish = [](bool* running) {
    *running = false;
    stop_watching();
    running_shared_memory = nullptr;
  };
  const std::unique_ptr<bool, decltype(finish)> at_the_end(&running, finish);

  gridDim = g.grid;
  blockDim = g.block;
  count_launch(g.kernel, uint64_t{g.grid.x} * g.grid.y * g.grid.z);
  start_race_check(g.smem);
  start_watching({reinterpret_cast<uintptr_t>(shared.bytes.get()), shared.size});
  for (unsigned z = 0; z < g.grid.z; ++z) {
    for (unsigned y = 0; y < g.grid.y; ++y) {
      for (unsigned x = 0; x < g.grid.x; ++x) {
        blockIdx = {x, y, z};
        poison(shared.bytes.get(), shared.size);
        run_watched_block(g.kernel, body);
      }
    }
  }
}

}  // namespace

std::string kernel_name(std::string_view pretty_function) {
  // g++: "... [with Params = {...}; void (* kernel)(Params ...) = llm::simt::name<...>]"
  // clang++: "... [kernel = &llm::simt::name<...>]"
  const size_t parameter = pretty_function.rfind("kernel)(");
  const size_t begin =
      pretty_function.find("= ", parameter == std::string_view::npos ? pretty_function.rfind("[kernel") : parameter);
  std::string name(pretty_function.substr(begin + 2, pretty_function.rfind(']') - begin - 2));
  for (const std::string_view noise :
       {"&", "llm::simt::", "llm::", "{anonymous}::", "(anonymous namespace)::", "<unnamed>::"}) {
    for (size_t at; (at = name.find(noise)) != std::string::npos;) name.erase(at, noise.size());
  }
  return name;
}

void launch_on_fibers(const char* pretty_function, dim3 grid, dim3 block, size_t smem, cudaStream_t stream,
                      std::function<void()> body) {
  Grid g{kernel_name(pretty_function), grid, block, smem};
  require_launchable(g);
  do_on_stream(stream, [g = std::move(g), body = std::move(body)] { run_grid(g, body); });
}

void* shared_bytes(size_t size) {
  if (size > running_shared_memory->size) {
    fail_kernel("{} bytes of shared memory are used, but the launch gave {}", size, running_shared_memory->size);
  }
  return running_shared_memory->bytes.get();
}

}  // namespace llm::simt
