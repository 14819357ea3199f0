#include "chapters/03_paged_attention/budget_run.h"

#include <algorithm>
#include <deque>
#include <functional>

#include "chapters/02_kv_cache/contiguous_kv_cache.h"
#include "chapters/03_paged_attention/paged_kv_cache.h"
#include "common/program/format.h"

namespace llm {

namespace {

// A KvMemory under test, and what is asked of it beside its steps.
struct Budgeted {
  KvMemory& memory;
  int64_t num_slots;
  // Whether another text may join those that run; the memory may take its room at once.
  std::function<bool(const Text& request, int64_t num_running)> admit;
  std::function<size_t(int64_t num_running)> bytes_reserved;  // by the running ones
};

int64_t bytes_per_token(const Transformer& model) { return model.config().kv_bytes_per_token(size_of(model.dtype())); }

// region: run
BudgetRun run_in_budget(const Transformer& model, const Budgeted& budgeted, std::vector<Text> requests) {
  KvMemory& memory = budgeted.memory;
  BatchedGeneration batched(model, memory, model.ops().attend, budgeted.num_slots, std::ssize(requests));
  BudgetRun run{std::move(requests), {}};
  std::deque<Text*> waiting;
  std::vector<Text*> running;  // the youngest last
  for (Text& request : run.requests) waiting.push_back(&request);

  while (!waiting.empty() || !running.empty()) {
    bool full = false;
    if (!waiting.empty()) {
      full = !budgeted.admit(*waiting.front(), std::ssize(running));
      if (!full) {
        running.push_back(waiting.front());
        waiting.pop_front();
      }
    }
    require(!running.empty(), "the budget of {} tokens is smaller than a request", budgeted.num_slots);
    while (!batched.step(running)) {
      require(running.size() > 1, "the budget of {} tokens is smaller than a text", budgeted.num_slots);
      Text* const youngest = running.back();
      running.pop_back();
      memory.release(youngest->id);
      youngest->num_computed_tokens = 0;
      waiting.push_front(youngest);
      ++run.num_preemptions;
      full = true;
    }
    MemoryUse use{std::ssize(running), full, budgeted.bytes_reserved(std::ssize(running)), 0};
    for (const Text* s : running) {
      use.bytes_used += static_cast<size_t>(s->num_computed_tokens * bytes_per_token(model));
      if (s->generation.finished()) memory.release(s->id);
    }
    run.steps.push_back(use);
    std::erase_if(running, [](const Text* s) { return s->generation.finished(); });
  }
  return run;
}
// endregion

}  // namespace

BudgetRun run_contiguous(const Transformer& model, std::vector<Text> requests, int64_t num_slots, int32_t max_length) {
  const int64_t num_stretches = std::min(num_slots / max_length, std::ssize(requests));
  ContiguousKvCache cache(model.config(), max_length, num_stretches, model.dtype(), model.device());
  const auto admit = [&](const Text&, int64_t num_running) { return num_running < num_stretches; };
  const auto bytes_reserved = [&](int64_t num_running) {
    return static_cast<size_t>(num_running * max_length * bytes_per_token(model));
  };
  return run_in_budget(model, {cache, num_stretches * max_length, admit, bytes_reserved}, std::move(requests));
}

BudgetRun run_paged(const Transformer& model, std::vector<Text> requests, int64_t num_slots, int32_t max_length,
                    int32_t block_size) {
  const PagedKvCacheSize size{static_cast<int32_t>(num_slots / block_size), block_size, max_length,
                              static_cast<int32_t>(requests.size())};
  PagedKvCache cache(model.config(), size, model.dtype(), model.device());
  // Not into the last free blocks: each text that runs may need one soon, and a newcomer would be the first to yield.
  const auto admit = [&](const Text& request, int64_t num_running) {
    const auto num_tokens = static_cast<int32_t>(request.new_tokens().size());
    return cache.num_blocks_for(num_tokens) + num_running <= cache.pool().num_free() &&
           cache.allocate(request.id, num_tokens);
  };
  const auto bytes_reserved = [&](int64_t) { return cache.bytes_reserved(); };
  return run_in_budget(model, {cache, num_slots, admit, bytes_reserved}, std::move(requests));
}

MemoryUse BudgetRun::peak() const {
  return *std::ranges::max_element(steps, {},
                                   [](const MemoryUse& use) { return std::pair(use.bytes_reserved, use.bytes_used); });
}

int64_t BudgetRun::most_at_once() const {
  return std::ranges::max_element(steps, {}, &MemoryUse::num_sequences)->num_sequences;
}

double BudgetRun::mean_at_once() const {
  double total = 0.0, num_full = 0.0;
  for (const MemoryUse& use : steps) {
    if (!use.full) continue;
    total += static_cast<double>(use.num_sequences);
    num_full += 1.0;
  }
  return total / num_full;
}

double BudgetRun::used_share() const {
  double reserved = 0.0, used = 0.0;
  for (const MemoryUse& use : steps) {
    reserved += static_cast<double>(use.bytes_reserved);
    used += static_cast<double>(use.bytes_used);
  }
  return used / reserved;
}

// region: predict
double mean_tokens_held(const std::vector<Text>& requests) {
  double held = 0.0, steps = 0.0;
  for (const Text& request : requests) {
    const auto prompt_len = static_cast<double>(request.generation.prompt().size());
    const auto generated = static_cast<double>(request.generation.token_ids().size());
    held += generated * prompt_len + generated * (generated - 1.0) / 2.0;
    steps += generated;
  }
  return held / steps;
}

double predict_used_share_contiguous(double held, int32_t max_length) { return held / max_length; }

double predict_used_share_paged(double held, int32_t block_size) { return held / (held + (block_size - 1) / 2.0); }
// endregion

Json describe_run(const BudgetRun& run, double predicted_share) {
  const MemoryUse peak = run.peak();
  Json json = Json::object();
  json.set("mean_at_once", run.mean_at_once()).set("most_at_once", run.most_at_once());
  json.set("bytes_reserved", static_cast<int64_t>(peak.bytes_reserved));
  json.set("bytes_used", static_cast<int64_t>(peak.bytes_used)).set("used_share", run.used_share());
  json.set("predicted_used_share", predicted_share).set("steps", std::ssize(run.steps));
  return json.set("preemptions", run.num_preemptions);
}

std::string draw_budget(size_t budget_bytes, const BudgetRun& contiguous, const BudgetRun& paged) {
  const auto bytes_of = [](size_t bytes) { return format_bytes(static_cast<double>(bytes)); };
  Table table({fmt::format("{} requests in {}", paged.requests.size(), bytes_of(budget_bytes)), "contiguous", "paged"});
  const auto row = [&](const char* what, const auto& value_of) {
    table.add({what, value_of(contiguous), value_of(paged)});
  };
  row("texts at once, at most", [](const BudgetRun& run) { return format_count(run.most_at_once()); });
  row("reserved at the peak", [&](const BudgetRun& run) { return bytes_of(run.peak().bytes_reserved); });
  row("  used by tokens", [&](const BudgetRun& run) { return bytes_of(run.peak().bytes_used); });
  row("  waste inside reservations",
      [&](const BudgetRun& run) { return bytes_of(run.peak().bytes_reserved - run.peak().bytes_used); });
  row("left between reservations",
      [&](const BudgetRun& run) { return bytes_of(budget_bytes - run.peak().bytes_reserved); });
  row("used of the reserved, all steps", [](const BudgetRun& run) { return format_share(run.used_share()); });
  row("steps until all are done", [](const BudgetRun& run) { return format_count(std::ssize(run.steps)); });
  row("begun again for want of blocks", [](const BudgetRun& run) { return format_count(run.num_preemptions); });
  return table.to_string();
}

}  // namespace llm
