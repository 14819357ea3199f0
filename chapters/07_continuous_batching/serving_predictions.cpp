#include "chapters/07_continuous_batching/serving_predictions.h"

#include <algorithm>

namespace llm {

// region: predict
SchedulePrediction predict_static(std::span<const Job> jobs, int num_slots) {
  SchedulePrediction prediction{0, {}};
  int64_t now = 0;  // the next step's number
  for (size_t i = 0; i < jobs.size();) {
    now = std::max(now, jobs[i].arrival_step);
    int64_t longest = 0;
    for (int slot = 0; slot < num_slots && i < jobs.size() && jobs[i].arrival_step <= now; ++slot, ++i) {
      longest = std::max(longest, jobs[i].num_steps);
      prediction.first_steps.push_back(now);
    }
    now += longest;
    prediction.steps += longest;
  }
  return prediction;
}

SchedulePrediction predict_continuous(std::span<const Job> jobs, int num_slots) {
  SchedulePrediction prediction{0, {}};
  std::vector<int64_t> free_at(static_cast<size_t>(num_slots), 0);  // the step from which a slot is free
  int64_t busy_until = 0;
  for (const Job& job : jobs) {
    int64_t& slot = *std::ranges::min_element(free_at);
    const int64_t begin = std::max(slot, job.arrival_step);
    slot = begin + job.num_steps;
    prediction.first_steps.push_back(begin);
    prediction.steps += std::max<int64_t>(0, slot - std::max(begin, busy_until));
    busy_until = std::max(busy_until, slot);
  }
  return prediction;
}
// endregion

StepCost cost_of(const Transformer& model, const StepRecord& record) {
  const ModelConfig& c = model.config();
  const double head = 2.0 * c.vocab_size * c.hidden_size;  // one row of logits, which count_flops has in each pass
  const double weights = count_bytes(model, 0);
  StepCost cost{static_cast<double>(record.num_logits) * head, weights};
  for (const StepRecord::Part& part : record.parts) {
    cost.flops += count_flops(c, part.num_tokens, part.context_len) - head;
    cost.bytes += count_bytes(model, part.context_len) - weights;
  }
  cost.flops += static_cast<double>(record.num_padding) * (count_flops(c, 1, 0) - head);
  return cost;
}

double predict_step_ms(const StepCost& cost, const MachineRates& rates) {
  return 1000.0 * std::max(cost.bytes / rates.bytes_per_second, cost.flops / rates.flops_per_second);
}

std::vector<Job> jobs_of(const Engine& engine) {
  std::vector<Job> jobs;
  for (const Sequence& s : engine.sequences()) {
    const int64_t num_steps = std::ssize(s.generation.token_ids());
    if (num_steps > 0) jobs.push_back({num_steps, s.request.arrival_step});
  }
  std::ranges::stable_sort(jobs, {}, &Job::arrival_step);
  return jobs;
}

double predict_tokens_per_second(const Transformer& model, const Engine& engine, const MachineRates& rates) {
  double ms = 0.0, num_tokens = 0.0;
  for (const StepRecord& record : engine.log()) {
    ms += predict_step_ms(cost_of(model, record), rates);
    num_tokens += static_cast<double>(std::ranges::count_if(record.parts, &StepRecord::Part::sampled));
  }
  return 1000.0 * num_tokens / ms;
}

}  // namespace llm
