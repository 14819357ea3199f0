#include "common/program/kernel_counts.h"

#include <fmt/format.h>

#include <cmath>
#include <vector>

#include "common/program/format.h"
#if defined(LLM_HAVE_SIMT)
#include "common/simt/access_hooks.h"
#include "common/simt/traffic.h"
#endif

namespace llm {

namespace {

constexpr double kSectorBytes = 32.0;

struct KernelLine {
  std::string name;
  bool library = false;
  int64_t launches = 0, blocks = 0, barriers = 0;
  int64_t bytes_read = 0, sectors_read = 0, bytes_written = 0, sectors_written = 0;
};

#if defined(LLM_HAVE_SIMT)

bool can_count() { return simt::sources_are_instrumented(); }

void count_kernels(bool count) { simt::count_traffic(count && can_count()); }

void forget_counts() { simt::reset_counts(); }

std::vector<KernelLine> kernel_lines() {
  std::vector<KernelLine> lines;
  for (const auto& [name, count] : simt::counts()) {
    const auto number = [](uint64_t value) { return static_cast<int64_t>(value); };
    lines.push_back({name, count.library, number(count.launches), number(count.blocks), number(count.barriers),
                     number(count.loads.bytes), number(count.loads.sectors), number(count.stores.bytes),
                     number(count.stores.sectors)});
  }
  return lines;
}

#else

bool can_count() { return false; }
void count_kernels(bool) {}
void forget_counts() {}
std::vector<KernelLine> kernel_lines() { return {}; }

#endif

KernelLine sum_of(const std::vector<KernelLine>& lines) {
  KernelLine sum{"all kernels"};
  for (const KernelLine& line : lines) {
    sum.launches += line.launches;
    sum.barriers += line.barriers;
    sum.bytes_read += line.bytes_read;
    sum.sectors_read += line.sectors_read;
    sum.bytes_written += line.bytes_written;
    sum.sectors_written += line.sectors_written;
  }
  return sum;
}

}  // namespace

void start_kernel_counts(Device device) {
  forget_counts();
  count_kernels(device == Device::simt);
}

void stop_kernel_counts() { count_kernels(false); }

std::string draw_kernel_counts(double predicted_bytes_read) {
  if (!can_count()) {
    return "what the kernels read and wrote was not counted: a build with AddressSanitizer can't; a release or debug "
           "build can\n";
  }
  Table table({"global memory, before any cache", "launches", "barriers", "read", "sectors", "written", "sectors"});
  const std::vector<KernelLine> lines = kernel_lines();
  const auto add = [&table](const KernelLine& line) {
    const auto bytes = [](int64_t count) { return format_bytes(static_cast<double>(count)); };
    table.add({line.library ? line.name + ", operands once" : line.name, format_count(line.launches),
               format_count(line.barriers), bytes(line.bytes_read), format_count(line.sectors_read),
               bytes(line.bytes_written), format_count(line.sectors_written)});
  };
  for (const KernelLine& line : lines) add(line);
  add(sum_of(lines));
  if (!std::isnan(predicted_bytes_read)) {
    table.add({"predicted: weights, keys and values once a step", "", "", format_bytes(predicted_bytes_read),
               format_count(std::llround(predicted_bytes_read / kSectorBytes)), "", ""});
  }
  return table.to_string();
}

void describe_kernel_counts(double predicted_bytes_read, Json& details) {
  if (!can_count()) {
    details.set_null("simt");
    return;
  }
  Json kernels = Json::array();
  for (const KernelLine& line : kernel_lines()) {
    Json kernel = Json::object();
    kernel.set("name", line.name).set("launches", line.launches).set("blocks", line.blocks);
    kernel.set("barriers", line.barriers).set("bytes_read", line.bytes_read).set("sectors_read", line.sectors_read);
    kernels.push(kernel.set("bytes_written", line.bytes_written).set("sectors_written", line.sectors_written));
  }
  Json counts = Json::object();
  counts.set("kernels", kernels);
  if (std::isnan(predicted_bytes_read)) {
    counts.set_null("predicted_bytes_read");
  } else {
    counts.set("predicted_bytes_read", static_cast<int64_t>(std::llround(predicted_bytes_read)));
  }
  details.set("simt", counts);
}

}  // namespace llm
