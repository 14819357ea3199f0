#include "chapters/07_continuous_batching/serving_options.h"

#include <algorithm>

namespace llm {

void ServingOptions::add_to(CommandLine& line) {
  line.add("--requests", &requests, "serve the requests of this file, one JSON object a line");
  line.add("--results", &results, "write what became of each request to this file, a line each");
  line.add("--step-log", &step_log, "write what each step did to this file, a line each");
  line.add("--scheduler", &scheduler, {"continuous", "static"}, "whose results, step log and trace are written");
  line.add("--policy", &policy, {"fcfs", "priority"}, "who is the more urgent: who came first, or by \"priority\"");
  line.add("--prefix-cache", &prefix_cache, {"on", "off"}, "whether prompts that begin alike share blocks: chapter 8");
  line.add("--block-size", &block_size, 1, 256, "tokens in a block of the cache, a power of two");
  line.add("--num-blocks", &num_blocks, 0, 1 << 24, "blocks in the cache; 0: the chapter's own choice");
  line.add("--token-budget", &token_budget, 1, 1 << 20, "new tokens in one step, of all requests together");
  line.add("--max-chunk", &max_chunk, 0, 1 << 20, "new tokens of one request in a step; 0: as the budget allows");
  line.add("--max-running", &max_running, 1, 1024, "requests that run side by side: slots");
}

void ServingOptions::check() const {
  check_block_size(block_size);
  check_output("--results", results);
  check_output("--step-log", step_log);
}

SchedulerParams ServingOptions::scheduler_params() const {
  return {token_budget, max_chunk == 0 ? INT32_MAX : max_chunk, max_running,
          policy == "fcfs" ? Policy::fcfs : Policy::priority};
}

PagedKvCacheSize ServingOptions::cache_size(std::span<const Request> requests, int context_length) const {
  int64_t longest = 1;
  for (const Request& r : requests) {
    longest = std::max<int64_t>(longest, std::min<int64_t>(std::ssize(r.prompt) + r.params.max_tokens, context_length));
  }
  const int64_t for_longest = (longest + block_size - 1) / block_size;
  const int64_t half = std::max(for_longest, (for_longest * max_running + 1) / 2);
  return {num_blocks > 0 ? num_blocks : static_cast<int32_t>(half), block_size, context_length, max_running};
}

}  // namespace llm
