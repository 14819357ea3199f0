// What the kernels of a run on --device simt did, as the simulator counts it: launches, barriers, and what was read
// from and written to global memory before any cache.
#pragma once

#include <string>

#include "common/json/json.h"
#include "common/tensor/tensor.h"

namespace llm {

// Counts from zero on, until they are stopped. Does nothing on other devices, and in a build that can't tell.
void start_kernel_counts(Device device);
void stop_kernel_counts();

// A table with a line a kernel, and their sum beside what was predicted (NaN: nothing); where this build can't tell, a
// sentence.
std::string draw_kernel_counts(double predicted_bytes_read);

// {kernels: [{name, launches, blocks, barriers, bytes_read, sectors_read, bytes_written, sectors_written}],
// predicted_bytes_read}, set as `details.simt`; null where this build can't tell.
void describe_kernel_counts(double predicted_bytes_read, Json& details);

}  // namespace llm
