// Requests of mixed lengths, served side by side from one fixed budget of KV memory: contiguous or paged.
#pragma once

#include <string>
#include <vector>

#include "chapters/03_paged_attention/batched_generation.h"
#include "common/json/json.h"

namespace llm {

// What is taken in one step.
struct MemoryUse {
  int64_t num_sequences;
  bool full;  // another text found no room
  size_t bytes_reserved, bytes_used;
};

struct BudgetRun {
  std::vector<Text> requests;  // all at their ends
  std::vector<MemoryUse> steps;
  int64_t num_preemptions = 0;

  MemoryUse peak() const;  // the step with the most bytes reserved; of equals, the one with the most used
  int64_t most_at_once() const;
  double mean_at_once() const;  // over the full steps; NaN where there are none
  double used_share() const;    // bytes used of those reserved, over all steps
};

// Both run the requests to their ends, in the order given, as many side by side as find room among `num_slots` tokens
// of KV memory; at most one joins in a step. No text is longer than `max_length`, and one of that length must fit.

// Each text reserves a stretch of `max_length` slots.
BudgetRun run_contiguous(const Transformer& model, std::vector<Text> requests, int64_t num_slots, int32_t max_length);

// Each text takes blocks as it grows. Where a step is refused, the youngest text gives its blocks back and begins again
// when there is room; its tokens are kept, their keys and values computed anew. Chapter 7 is about doing this well.
BudgetRun run_paged(const Transformer& model, std::vector<Text> requests, int64_t num_slots, int32_t max_length,
                    int32_t block_size);

// What share of the reserved memory should be used. A text of P prompt tokens holds P + t of them in its step t,
// counted from 0; `held` is the mean of that over the steps of all texts.
double mean_tokens_held(const std::vector<Text>& requests);
double predict_used_share_contiguous(double held, int32_t max_length);
double predict_used_share_paged(double held, int32_t block_size);  // half a block is empty at each text's end

// The run's figures for --json, and both runs beside each other on the screen, at the moment when they take the most.
Json describe_run(const BudgetRun& run, double predicted_share);
std::string draw_budget(size_t budget_bytes, const BudgetRun& contiguous, const BudgetRun& paged);

}  // namespace llm
