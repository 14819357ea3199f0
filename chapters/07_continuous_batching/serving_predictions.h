// What a run should take: its steps by counting, its time by the roofline.
#pragma once

#include <span>
#include <vector>

#include "chapters/07_continuous_batching/engine.h"
#include "common/program/predict.h"

namespace llm {

// What a schedule has to know of a request: how many tokens come of it, and when it arrives.
struct Job {
  int64_t num_steps;
  int64_t arrival_step;
};
struct SchedulePrediction {
  int64_t steps;                     // in which somebody had work
  std::vector<int64_t> first_steps;  // [num jobs] after how many steps each began
};
// By arithmetic alone, with a step for each token of the output: a budget that is never exhausted and blocks for all.
SchedulePrediction predict_static(std::span<const Job> jobs, int num_slots);
SchedulePrediction predict_continuous(std::span<const Job> jobs, int num_slots);
// In the order of arrival.
std::vector<Job> jobs_of(const Engine& engine);

// Operations and bytes of one step: all its weights are read once, however many sequences share it.
struct StepCost {
  double flops = 0.0, bytes = 0.0;
  double intensity() const { return flops / bytes; }
};
StepCost cost_of(const Transformer& model, const StepRecord& record);
// The larger of the two limits: milliseconds, NaN where a rate was not measured.
double predict_step_ms(const StepCost& cost, const MachineRates& rates);
// All steps of a run.
double predict_tokens_per_second(const Transformer& model, const Engine& engine, const MachineRates& rates);

}  // namespace llm
