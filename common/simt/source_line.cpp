#include "common/simt/source_line.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string_view>

namespace llm::simt {

namespace {

struct ClosePipe {
  void operator()(FILE* pipe) const { pclose(pipe); }
};

// What a shell command prints, or nothing where it fails.
std::string output_of(const std::string& command) {
  const std::unique_ptr<FILE, ClosePipe> pipe(popen((command + " 2>/dev/null").c_str(), "r"));
  std::string text;
  char buffer[4096];
  while (pipe && std::fgets(buffer, sizeof(buffer), pipe.get()) != nullptr) text += buffer;
  return text;
}

// Stand-ins of the device's functions are not what a reader looks for.
bool is_our_own(std::string_view file) {
  const std::string_view here = __FILE__;
  return file.starts_with("??") || file.starts_with("/usr/") || file.starts_with(here.substr(0, here.rfind('/') + 1)) ||
         file.ends_with("common/cuda/ptx.cuh");
}

}  // namespace

std::string source_line(const void* return_address) {
  const std::string bare = fmt::format("{}", return_address);
  Dl_info object;
  if (dladdr(return_address, &object) == 0) return bare;
  // The address before: the call itself.
  const uintptr_t offset =
      reinterpret_cast<uintptr_t>(return_address) - reinterpret_cast<uintptr_t>(object.dli_fbase) - 1;
  std::string_view frames = {};
  const std::string text = output_of(fmt::format("addr2line -i -e /proc/{}/exe {:#x}", getpid(), offset));
  for (frames = text; !frames.empty();) {
    const size_t end = std::min(frames.find('\n'), frames.size() - 1);
    std::string_view frame = frames.substr(0, end);
    frames.remove_prefix(end + 1);
    frame = frame.substr(0, frame.find(" (discriminator"));
    const size_t colon = frame.rfind(':');
    if (colon == std::string_view::npos || is_our_own(frame.substr(0, colon))) continue;
    return std::filesystem::path(frame).filename().string();
  }
  return bare;
}

}  // namespace llm::simt
