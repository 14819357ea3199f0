// The flags of a program that serves many requests.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "chapters/07_continuous_batching/load_generator.h"
#include "chapters/07_continuous_batching/scheduler.h"
#include "common/program/command_line.h"
#include "common/program/options.h"

namespace llm {

struct ServingOptions {
  std::filesystem::path requests, results, step_log;
  std::string scheduler = "continuous", policy = "fcfs", prefix_cache = "off";
  int block_size = 16, num_blocks = 0;                     // 0: the program's choice
  int token_budget = 256, max_chunk = 0, max_running = 8;  // max_chunk 0: no cap

  void add_to(CommandLine& line);
  // What can't be told from one flag alone. Throws InputError.
  void check() const;

  SchedulerParams scheduler_params() const;
  // Where nobody says how many blocks: half of what the slots take with the longest text in each. Most are shorter.
  PagedKvCacheSize cache_size(std::span<const Request> requests, int context_length) const;
};

}  // namespace llm
