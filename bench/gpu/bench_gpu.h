// What the GPU's benchmarks share: how work is timed, that it is right, and where the numbers go.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "bench/summary.h"
#include "common/json/json.h"
#include "common/tensor/tensor.h"

namespace llm {

struct LoadedModel;

// A run of one part.
struct GpuBench {
  Device device = Device::cuda;
  bool quick = false;  // tiny shapes, timed twice: whether all of it runs, for the simulator
  std::filesystem::path json;
  Json results = Json::object();

  // One row more of a list. The file is written anew each time: what comes later may run out of time.
  void add(const std::string& list, const Json& row);
};

// Buffers used in turn hold this much together, so that each comes from memory and not from a cache: several times the
// L2 of today's GPUs (60 MB on an H200, 126 MB on a B200).
inline constexpr int64_t kRotatedBytes = int64_t{512} << 20;

// How many buffers of so many bytes are used in turn.
int64_t count_copies(const GpuBench& bench, int64_t bytes);

// Microseconds that one of many calls work(0), work(1), ... takes: they are recorded as a graph, which is timed as a
// whole, several times. Some 10 µs of starting and waiting are shared by 5 ms of calls.
Json time_us(const GpuBench& bench, int64_t copies, const std::function<void(int64_t)>& work);

// The same for calls that take far longer than to start them, without a graph: recorded, a large copy of memory is done
// by a slower engine of the GPU.
Json time_unrecorded_us(const GpuBench& bench, const std::function<void()>& work);

// A row's first columns: the model and its number format.
Json row_of(const LoadedModel& loaded);

// What an operator does on a device, and what it has then written.
struct PreparedOperator {
  std::function<void()> run;
  Tensor out;
};

// Throws where the operator gives something else than on the CPU; then times it on the bench's device.
Json check_and_time(const GpuBench& bench, const std::string& name, double tolerance,
                    const std::function<PreparedOperator(Device)>& prepare);

// Throws, naming `what`, unless |actual − expected| ≤ tolerance · max(1, |expected|) everywhere; false for NaN.
void require_close(const std::string& what, TensorView actual, TensorView expected, double tolerance);

// The parts.
void bench_memory(GpuBench& bench);     // copying and reading
void bench_matrix(GpuBench& bench);     // products of many rows
void bench_matvec(GpuBench& bench);     // products of one row: ours and cuBLAS's
void bench_few_rows(GpuBench& bench);   // of 2, 4 and 8 rows, likewise
void bench_operators(GpuBench& bench);  // all others
void bench_flash(GpuBench& bench);      // chapter 4's attention
void bench_dram(GpuBench& bench);       // the same once each, for bench/gpu/dram_bytes.py
void bench_grouped(GpuBench& bench);    // chapter 5's, and decode of one model with many, few and one KV heads
// Chapter 8's cold and warm prompts, a part of the next one.
void bench_prompt_cache(GpuBench& bench, const LoadedModel& loaded);
// Chapter 2's decode and prefill, chapter 8's prompts; for a model with a tokenizer also chapter 1.
void bench_model(GpuBench& bench, const std::string& name, DType dtype);
// Chapter 6's rounds, with acceptance simulated.
void bench_speculation(GpuBench& bench, const std::string& name, const std::string& draft_name, DType dtype);
// Chapter 7: decode steps over batch sizes; schedules of one load, and texts that a batch changes.
void bench_batch_sizes(GpuBench& bench, const std::string& name, DType dtype);
void bench_batching(GpuBench& bench, const std::string& name, DType dtype);
// Chapter 7's engine on a file of requests, for a peer that serves the same.
void bench_requests(GpuBench& bench, const std::string& name, DType dtype, const std::filesystem::path& requests);

}  // namespace llm
