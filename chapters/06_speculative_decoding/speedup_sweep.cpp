#include "chapters/06_speculative_decoding/speedup_sweep.h"

namespace llm {

namespace {

std::vector<std::vector<int32_t>> prompts_of_batch(const std::vector<int32_t>& prompt, const std::vector<int32_t>& text,
                                                   int64_t count) {
  std::vector<std::vector<int32_t>> prompts;
  for (int64_t i = 0; i < count; ++i) {
    prompts.push_back(prompt);
    prompts.back().insert(prompts.back().end(), text.begin(), text.begin() + std::ssize(text) / 2 * i / count);
  }
  return prompts;
}

}  // namespace

std::vector<SweptSpeedups> sweep_speedups(const std::function<SpeedupProblem(const std::string& drafter)>& problem_of,
                                          const std::vector<std::string>& drafters, const std::vector<int32_t>& text) {
  std::vector<SweptSpeedups> swept;
  for (const std::string& drafter : drafters) {
    for (const double temperature : {0.0, 0.5, 1.0}) {
      for (const int64_t num_texts : {1, 2, 4, 8}) {
        SpeedupProblem problem = problem_of(drafter);
        problem.prompts = prompts_of_batch(problem.prompts.front(), text, num_texts);
        problem.params.sampling.temperature = temperature;
        swept.push_back({drafter, temperature, num_texts, measure_speedups(problem, {1, 2, 3, 4, 6, 8}, 1.0)});
      }
    }
  }
  return swept;
}

}  // namespace llm
