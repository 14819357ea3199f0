#include "chapters/05_grouped_query_attention/attention_table.h"

#include <cmath>
#include <limits>

#include "common/program/format.h"

namespace llm {

namespace {

constexpr double kNotMeasured = std::numeric_limits<double>::quiet_NaN();

struct NamedStep {
  const char* name;
  AttentionStep GroupedSteps::*step;
  MemoryTraffic (*formula)(const StepShape&);
};

constexpr NamedStep kSteps[] = {
    {"expanded", &GroupedSteps::expanded, expanded_traffic},
    {"per_head", &GroupedSteps::per_head, [](const StepShape& s) { return grouped_traffic(s, 1); }},
    {"grouped", &GroupedSteps::grouped, [](const StepShape& s) { return grouped_traffic(s, kMaxHeadsAtOnce); }},
    {"tensor", &GroupedSteps::tensor, [](const StepShape& s) { return grouped_traffic(s, kMaxHeadsAtOnce); }}};

std::vector<StepShape> shapes(Device device, bool sweep) {
  std::vector<StepShape> all;
  for (const int64_t group : sweep ? std::vector<int64_t>{1, 4, 8} : std::vector<int64_t>{4}) {
    StepShape s{.n = 128, .head_dim = 64, .heads = 8, .num_queries = 1, .dtype = DType::bf16};
    if (device == Device::cuda) {  // llama-3-8b's, where a group is 4
      s.n = 4096;
      s.head_dim = 128;
      s.heads = 32;
      s.num_seqs = 16;
      s.block_size = 16;
    }
    s.kv_heads = s.heads / group;
    all.push_back(s);
  }
  return all;
}

}  // namespace

std::vector<MeasuredAttention> measure_attention(Device device, bool sweep) {
  std::vector<MeasuredAttention> all;
  for (const StepShape& shape : shapes(device, sweep)) {
    for (const NamedStep& named : kSteps) {
      const AttentionStep step = grouped_steps(device).*named.step;
      if (step == nullptr) continue;
      StepShape few = shape;  // float64 takes its time
      few.num_seqs = 1;
      MeasuredAttention m{named.name, shape, named.formula(shape), {}, max_error(step, device, few), kNotMeasured};
      if (device == Device::simt) m.counted = count_traffic(step, shape);
      if (device == Device::cuda) m.us = 1e6 * time_step(step, device, shape);
      all.push_back(m);
    }
  }
  return all;
}

std::string draw_attention(const std::vector<MeasuredAttention>& all) {
  Table table(
      {"", "heads", "KV heads", "keys", "read, predicted", "read", "written, predicted", "written", "time", "error"});
  for (const MeasuredAttention& m : all) {
    const auto bytes = [](int64_t count) { return format_bytes(static_cast<double>(count)); };
    table.add({m.name, format_count(m.shape.heads), format_count(m.shape.kv_heads), format_count(m.shape.n),
               bytes(m.predicted.bytes_read), m.counted ? bytes(m.counted->bytes_read) : "",
               bytes(m.predicted.bytes_written), m.counted ? bytes(m.counted->bytes_written) : "",
               std::isnan(m.us) ? "" : fmt::format("{:.1f} µs", m.us), fmt::format("{:.1e}", m.max_error)});
  }
  return table.to_string();
}

Json describe_attention(const std::vector<MeasuredAttention>& all) {
  Json kernels = Json::array();
  for (const MeasuredAttention& m : all) {
    const auto counted = [&](int64_t MemoryTraffic::*bytes) {
      return m.counted ? static_cast<double>((*m.counted).*bytes) : kNotMeasured;
    };
    Json kernel = Json::object();
    kernel.set("name", m.name).set("n", m.shape.n).set("num_seqs", m.shape.num_seqs).set("heads", m.shape.heads);
    kernel.set("kv_heads", m.shape.kv_heads).set("head_dim", m.shape.head_dim).set("dtype", name_of(m.shape.dtype));
    kernel.set("predicted_bytes_read", m.predicted.bytes_read);
    kernel.set("bytes_read", counted(&MemoryTraffic::bytes_read));
    kernel.set("predicted_bytes_written", m.predicted.bytes_written);
    kernel.set("bytes_written", counted(&MemoryTraffic::bytes_written));
    kernels.push(kernel.set("max_error", m.max_error).set("us", m.us));
  }
  return kernels;
}

}  // namespace llm
