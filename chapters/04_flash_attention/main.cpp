// Chapter 4, flash attention: the softmax tile by tile, so that no row of scores is ever written to memory.
//
// Read docs/04-flash-attention.md beside this file.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <random>

#include "chapters/01_naive_generation/reference.h"
#include "chapters/02_kv_cache/cached_generation.h"
#include "chapters/02_kv_cache/contiguous_kv_cache.h"
#include "chapters/03_paged_attention/paged_kv_cache.h"
#include "chapters/04_flash_attention/flash_attend.h"
#include "chapters/04_flash_attention/measure_step.h"
#include "chapters/04_flash_attention/online_softmax.h"
#include "common/program/program.h"
#include "common/program/report.h"
#include "common/program/token_stream.h"

namespace llm {
namespace {

constexpr int32_t kBlockSize = 16;
constexpr double kNotMeasured = std::numeric_limits<double>::quiet_NaN();

// ---- the steps from standard attention on, each on one problem ----

struct NamedStep {
  const char* name;
  AttentionStep AttentionSteps::*step;
  MemoryTraffic (*formula)(const TrafficShape&);
};

constexpr NamedStep kSteps[] = {{"standard_attention", &AttentionSteps::standard, standard_attention_traffic},
                                {"flash_attention_1", &AttentionSteps::flash_1, flash_attention_1_traffic},
                                {"flash_attention_2", &AttentionSteps::flash_2, flash_attention_2_traffic}};

struct MeasuredStep {
  const char* name;
  StepShape shape;
  MemoryTraffic predicted;
  std::optional<MemoryTraffic> counted;  // on the simulator, where this build has one that can tell
  double max_error = kNotMeasured;
  double tflops = kNotMeasured;  // on a GPU
};

// Where the steps run: the device asked for; the CPU, which has no step but the last, leaves them to the simulator.
Device device_of_steps(Device device) {
#if defined(LLM_HAVE_SIMT)
  if (device == Device::cpu) return Device::simt;
#endif
  return device;
}

// N queries over N keys of one head, f32, not causal: what the formulas are for.
std::vector<StepShape> shapes_to_count(bool sweep) {
  std::vector<StepShape> shapes;
  for (const int64_t head_dim : sweep ? std::vector<int64_t>{32, 64} : std::vector<int64_t>{64}) {
    for (const int tile : sweep ? std::vector{16, 32, 64} : std::vector{32}) {
      for (const int64_t n : sweep ? std::vector<int64_t>{64, 128, 256, 512} : std::vector<int64_t>{32, 64, 128}) {
        shapes.push_back({.n = n, .head_dim = head_dim, .tile = tile});
      }
    }
  }
  return shapes;
}

// As published measurements have it: 16,384 tokens in all, and 2,048 numbers in a token's heads; bf16.
std::vector<StepShape> shapes_to_time(bool sweep) {
  std::vector<StepShape> shapes;
  for (const int64_t head_dim : sweep ? std::vector<int64_t>{64, 128} : std::vector<int64_t>{128}) {
    for (const bool causal : {false, true}) {
      for (const int64_t n : sweep ? std::vector<int64_t>{512, 1024, 2048, 4096} : std::vector<int64_t>{1024}) {
        shapes.push_back({.n = n,
                          .head_dim = head_dim,
                          .heads = 2048 / head_dim,
                          .kv_heads = 2048 / head_dim,
                          .num_seqs = 16384 / n,
                          .causal = causal,
                          .dtype = DType::bf16});
      }
    }
  }
  return shapes;
}

std::vector<MeasuredStep> measure_steps(Device device, bool sweep) {
  std::vector<MeasuredStep> all;
  const AttentionSteps& steps = attention_steps(device);
  for (const StepShape& shape : shapes_to_count(sweep)) {
    for (const NamedStep& named : kSteps) {
      const AttentionStep step = steps.*named.step;
      if (step == nullptr) continue;
      MeasuredStep measured{named.name, shape, {}, {}};
      measured.predicted =
          named.formula({shape.n, shape.head_dim, shape.tile, static_cast<int64_t>(size_of(shape.dtype))});
#if defined(LLM_HAVE_SIMT)
      measured.counted = count_traffic(attention_steps(Device::simt).*named.step, shape);
#endif
      measured.max_error = max_error(step, device, shape);
      all.push_back(measured);
    }
  }
  if (device != Device::cuda) return all;
  for (const StepShape& shape : shapes_to_time(sweep)) {
    for (const NamedStep& named : kSteps) {
      const double tflops = shape.flops() / time_step(steps.*named.step, device, shape) / 1e12;
      all.push_back({named.name, shape, {}, {}, kNotMeasured, tflops});
    }
  }
  return all;
}

std::string draw_traffic(const std::vector<MeasuredStep>& all) {
  Table table({"", "N", "head_dim", "tile", "read, predicted", "read", "written, predicted", "written", "error"});
  for (const MeasuredStep& m : all) {
    if (std::isnan(m.max_error)) continue;
    const auto bytes = [](int64_t count) { return format_bytes(static_cast<double>(count)); };
    table.add({m.name, format_count(m.shape.n), format_count(m.shape.head_dim), format_count(m.shape.tile),
               bytes(m.predicted.bytes_read), m.counted ? bytes(m.counted->bytes_read) : "",
               bytes(m.predicted.bytes_written), m.counted ? bytes(m.counted->bytes_written) : "",
               fmt::format("{:.1e}", m.max_error)});
  }
  return table.to_string();
}

std::string draw_speed(const std::vector<MeasuredStep>& all) {
  Table table({"", "N", "head_dim", "causal", "TFLOP/s"});
  for (const MeasuredStep& m : all) {
    if (std::isnan(m.tflops)) continue;
    table.add({m.name, format_count(m.shape.n), format_count(m.shape.head_dim), m.shape.causal ? "yes" : "no",
               format_rate(m.tflops)});
  }
  return table.to_string();
}

Json describe_steps(const std::vector<MeasuredStep>& all) {
  Json kernels = Json::array();
  for (const MeasuredStep& m : all) {
    Json kernel = Json::object();
    kernel.set("name", m.name).set("n", m.shape.n).set("head_dim", m.shape.head_dim).set("causal", m.shape.causal);
    kernel.set("dtype", name_of(m.shape.dtype)).set("tile", m.shape.tile);
    const auto set = [&](const char* key, const char* predicted_key, int64_t MemoryTraffic::*bytes) {
      kernel.set(key, m.counted ? static_cast<double>((*m.counted).*bytes) : kNotMeasured);
      kernel.set(predicted_key, std::isnan(m.max_error) ? kNotMeasured : static_cast<double>(m.predicted.*bytes));
    };
    set("bytes_read", "predicted_bytes_read", &MemoryTraffic::bytes_read);
    set("bytes_written", "predicted_bytes_written", &MemoryTraffic::bytes_written);
    kernels.push(kernel.set("max_error", m.max_error).set("tflops", m.tflops));
  }
  return kernels;
}

// ---- a text, with attention as the last steps do it ----

// Blocks in a random order, as they come after many texts have come and gone.
void scatter_blocks(PagedKvCache& cache) {
  std::vector<int32_t> ids(static_cast<size_t>(cache.pool().num_free()));
  std::iota(ids.begin(), ids.end(), 0);
  for (const int32_t id : ids) require(cache.allocate(id, 1), "a free block is not to be had");
  std::shuffle(ids.begin(), ids.end(), std::mt19937(1));
  for (const int32_t id : ids) cache.release(id);
}

int run(int argc, const char* const* argv) {
  const Options options =
      OptionParser("chapter_04", "Chapter 4, flash attention: the softmax tile by tile, no matrix of scores in memory.")
          .parse(argc, argv);
  require_device(options.device);
  // Before the text: measuring a step sets the simulator's counts back, and the report is about the text's.
  const std::vector<MeasuredStep> steps = measure_steps(device_of_steps(options.device), options.sweep);
  const LoadedModel loaded = load_model(options);
  const Transformer& model = *loaded.transformer;
  const ModelConfig& config = model.config();
  if (config.head_dim > kMaxFlashHeadDim) {
    fail_input(
        "--model {} has a head_dim of {}, but this chapter's kernels are built for {} at most; take another model",
        loaded.name, config.head_dim, kMaxFlashHeadDim);
  }
  const std::vector<int32_t> prompt = prompt_token_ids(loaded, options);
  const GenerationParams params{options.max_tokens, options.ignore_eos, options.sampling};
  const int64_t prompt_len = std::ssize(prompt);
  const int64_t max_length = std::min<int64_t>(config.context_length, prompt_len + options.max_tokens);

  // Flash attention over chapter 2's cache; then chapter 2 itself, to compare the time, and over chapter 3's blocks.
  const AttendFn attend = flash_attend(options.device);
  ContiguousKvCache cache(config, max_length, 1, options.dtype, options.device);
  TokenStream stream(loaded, prompt);
  const Generation flash =
      generate_cached(model, cache, attend, prompt, params, [&](int32_t token) { stream.push(token); });
  stream.finish();
  ContiguousKvCache plain_cache(config, max_length, 1, options.dtype, options.device);
  const Generation plain = generate_cached(model, plain_cache, model.ops().attend, prompt, params);
  const auto num_blocks = static_cast<int32_t>((max_length + kBlockSize - 1) / kBlockSize);
  PagedKvCache blocks(config, {num_blocks, kBlockSize, static_cast<int32_t>(max_length), 1}, options.dtype,
                      options.device);
  scatter_blocks(blocks);
  const Generation paged = generate_cached(model, blocks, attend, prompt, params);
  const ReferenceOutput naive = reference_output(loaded, options, prompt, params);
  const Comparison paged_comparison =
      compare_outputs(naive.token_ids, naive.top_gaps, paged.token_ids(), near_tie(options.dtype));

  fmt::print("\nonline softmax over the scores 2, 4 and then 6, with values 1, 2 and 3:\n{}",
             trace_online_softmax(std::vector<float>{2, 4, 6}, std::vector<float>{1, 2, 3}, 2));
  fmt::print("\nglobal memory traffic of one head, N queries over N keys, f32, counted on the simulator:\n{}",
             draw_traffic(steps));
  if (std::ranges::none_of(steps, [](const MeasuredStep& step) { return step.counted.has_value(); })) {
    fmt::print("  traffic: not measured, this build has no simulator that counts it\n");
  }
  if (options.device == Device::cuda) {
    fmt::print("\n16,384 tokens in sequences of N, bf16:\n{}", draw_speed(steps));
  }
  fmt::print("  flash_attention_3, for Hopper: not built yet\n");

  Report report({4, "flash attention"}, loaded, options);
  const MachineRates rates = measure_rates(model);
  report.add_generation(flash, cache.nbytes(), predict_pass_ms(model, rates, prompt_len, prompt_len),
                        predict_decode_ms(model, rates, prompt_len, std::ssize(flash.token_ids())));
  const double prefill_ratio = flash.ttft_ms() / plain.ttft_ms();
  const double decode_ratio = median_decode_ms(flash) / median_decode_ms(plain);
  const double paged_ratio = median_decode_ms(paged) / median_decode_ms(plain);
  report.add_row("time to first token against chapter 2", "", format_ratio(prefill_ratio));
  report.add_row("decode time against chapter 2", "", format_ratio(decode_ratio));
  report.add_row("decode time out of blocks against chapter 2", "", format_ratio(paged_ratio));
  report.add_row("same output out of blocks", "yes", describe(paged_comparison));
  report.details()
      .set("kernels", describe_steps(steps))
      .set("prefill_time_ratio", prefill_ratio)
      .set("decode_time_ratio", decode_ratio)
      .set("decode_time_ratio_paged", paged_ratio)
      .set("same_output_paged", paged_comparison.same);
  report.compare(naive.token_ids, naive.top_gaps);
  return std::max(report.finish(), paged_comparison.same ? 0 : 1);
}

}  // namespace
}  // namespace llm

int main(int argc, char** argv) {
  return llm::run_program([&] { return llm::run(argc, argv); });
}
