#include "chapters/07_continuous_batching/serving_run.h"

namespace llm {

namespace {

std::unique_ptr<Scheduler> make_scheduler(const SchedulerParams& params, PagedKvCache& cache, Schedule schedule) {
  if (schedule == Schedule::continuous) return std::make_unique<Scheduler>(params, cache);
  const Padding padding = schedule == Schedule::static_padded ? Padding::computed : Padding::skipped;
  return std::make_unique<StaticScheduler>(params, cache, padding);
}

}  // namespace

ServingRun::ServingRun(const ServingSetup& s, Schedule schedule, const Engine::OnToken& on_token)
    : cache(s.model.config(), s.cache_size, s.transformer().dtype(), s.transformer().device()),
      scheduler(make_scheduler(s.params, cache, schedule)),
      engine(s.model, cache, *scheduler, s.attend, nullptr, on_token) {
  for (const Request& request : s.requests) engine.submit(request);
  while (engine.step()) {
  }
  metrics = measure(engine, s.params.max_running);
}

}  // namespace llm
