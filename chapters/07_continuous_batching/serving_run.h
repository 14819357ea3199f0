// Requests served from the first one's arrival to the last one's end, one way or the other.
#pragma once

#include <memory>

#include "chapters/07_continuous_batching/serving_metrics.h"
#include "chapters/07_continuous_batching/static_scheduler.h"

namespace llm {

// What the runs that are to be compared have in common.
struct ServingSetup {
  const LoadedModel& model;
  std::vector<Request> requests;
  SchedulerParams params;
  PagedKvCacheSize cache_size;
  AttendFn attend;

  const Transformer& transformer() const { return *model.transformer; }
};

enum class Schedule { continuous, static_padded, static_skipping };

struct ServingRun {
  ServingRun(const ServingSetup& setup, Schedule schedule, const Engine::OnToken& on_token = {});

  PagedKvCache cache;
  std::unique_ptr<Scheduler> scheduler;
  Engine engine;
  ServingMetrics metrics;
};

}  // namespace llm
