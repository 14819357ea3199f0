#include "chapters/06_speculative_decoding/measure_speedup.h"

#include <algorithm>
#include <chrono>
#include <numeric>

#include "chapters/02_kv_cache/cached_generation.h"
#include "chapters/02_kv_cache/contiguous_kv_cache.h"
#include "chapters/06_speculative_decoding/formulas.h"
#include "common/program/format.h"

namespace llm {

namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

int64_t total_tokens(const std::vector<std::vector<int32_t>>& prompts) {
  return std::accumulate(prompts.begin(), prompts.end(), int64_t{0},
                         [](int64_t sum, const auto& prompt) { return sum + std::ssize(prompt); });
}

ContiguousKvCache make_cache(const SpeedupProblem& problem) {
  size_t longest = 0;
  for (const auto& prompt : problem.prompts) longest = std::max(longest, prompt.size());
  const int64_t max_length = std::min<int64_t>(problem.model.config().context_length,
                                               static_cast<int64_t>(longest) + problem.params.max_tokens);
  return {problem.model.config(), max_length, std::ssize(problem.prompts), problem.model.dtype(),
          problem.model.device()};
}

// Steps until all have ended; the milliseconds of each after the first, which feeds the prompts.
template <class Text, class Step>
std::vector<double> run_to_end(std::vector<Text>& texts, const Step& step) {
  std::vector<Text*> running;
  for (Text& text : texts) running.push_back(&text);
  step(running);
  std::vector<double> step_ms;
  while (std::erase_if(running, [](const Text* text) { return text->generation.finished(); }), !running.empty()) {
    const Clock::time_point begin = Clock::now();
    step(running);
    step_ms.push_back(ms_since(begin));
  }
  return step_ms;
}

double total(const std::vector<double>& values) { return std::accumulate(values.begin(), values.end(), 0.0); }

// Without speculation: the milliseconds of each step but the first, and of a token in the mean.
struct PlainRun {
  std::vector<double> step_ms;
  double ms_per_token;
};

PlainRun run_plain(const SpeedupProblem& problem) {
  ContiguousKvCache cache = make_cache(problem);
  const AttendFn attend = problem.model.ops().attend;
  if (problem.prompts.size() == 1) {
    const Generation text = generate_cached(problem.model, cache, attend, problem.prompts[0], problem.params);
    return {{text.step_ms().begin() + 1, text.step_ms().end()}, 1000.0 / text.tokens_per_second()};
  }
  const auto num_seqs = std::ssize(problem.prompts);
  BatchedGeneration batched(problem.model, cache, attend, total_tokens(problem.prompts), num_seqs);
  std::vector<Text> texts;
  for (const auto& prompt : problem.prompts) {
    texts.push_back({static_cast<int32_t>(texts.size()), Generation(prompt, problem.model.config(), problem.params)});
  }
  const std::vector<double> step_ms = run_to_end(texts, [&](std::span<Text* const> running) { batched.step(running); });
  int64_t tokens = -num_seqs;
  for (const Text& text : texts) tokens += std::ssize(text.generation.token_ids());
  return {step_ms, total(step_ms) / static_cast<double>(tokens)};
}

struct Times {
  std::vector<double> draft_step_ms, verify_ms, speedups;
};

}  // namespace

SpeculativeRun run_speculative(const SpeedupProblem& problem, int k) {
  const int64_t num_seqs = std::ssize(problem.prompts), prompt_tokens = total_tokens(problem.prompts);
  ContiguousKvCache cache = make_cache(problem);
  const OwnedDrafter owned = problem.make_drafter(prompt_tokens, num_seqs);
  SpeculativeGeneration speculative(problem.model, cache, problem.model.ops().attend, *owned.drafter,
                                    std::max(prompt_tokens, num_seqs * (k + 1)), num_seqs);
  if (problem.simulated_alpha) speculative.simulate_acceptance(*problem.simulated_alpha);
  SpeculativeRun run{};
  for (const auto& prompt : problem.prompts) {
    const auto id = static_cast<int32_t>(run.texts.size());
    run.texts.push_back({{id, Generation(prompt, problem.model.config(), problem.params)}, k});
  }
  run.ms =
      total(run_to_end(run.texts, [&](std::span<SpeculativeSequence* const> running) { speculative.step(running); }));
  return run;
}

std::vector<MeasuredSpeedup> measure_speedups(const SpeedupProblem& problem, const std::vector<int>& ks,
                                              double seconds) {
  constexpr int kRepetitions = 5;
  const Clock::time_point begin = Clock::now();
  const auto in_time = [&] { return ms_since(begin) < 1000.0 * seconds; };
  std::vector<double> plain_step_ms;
  std::vector<Times> times(ks.size());
  std::vector<MeasuredSpeedup> all(ks.size());
  for (int repetition = 0; repetition < kRepetitions && (repetition == 0 || in_time()); ++repetition) {
    const PlainRun plain = run_plain(problem);
    plain_step_ms.insert(plain_step_ms.end(), plain.step_ms.begin(), plain.step_ms.end());
    for (size_t i = 0; i < ks.size() && (i == 0 || in_time()); ++i) {
      const SpeculativeRun run = run_speculative(problem, ks[i]);
      std::vector<Round> rounds;
      all[i] = {.k = ks[i], .counts = {}, .token_ids = {}};
      for (const SpeculativeSequence& text : run.texts) {
        rounds.insert(rounds.end(), text.rounds.begin(), text.rounds.end());
        all[i].token_ids.push_back(text.generation.token_ids());
      }
      all[i].counts = count_rounds(rounds);
      for (const Round& round : rounds) {
        if (std::ssize(round.drafted) != ks[i]) continue;
        times[i].draft_step_ms.push_back(round.draft_ms / ks[i]);
        times[i].verify_ms.push_back(round.verify_ms);
      }
      times[i].speedups.push_back(plain.ms_per_token * static_cast<double>(all[i].counts.tokens) / run.ms);
    }
  }
  for (size_t i = 0; i < ks.size(); ++i) {
    MeasuredSpeedup& row = all[i];
    row.c = median(times[i].draft_step_ms) / median(plain_step_ms);
    row.v = median(times[i].verify_ms) / median(plain_step_ms);
    row.predicted = expected_speedup(row.counts.acceptance(), ks[i], row.c, row.v);
    row.measured = median(times[i].speedups);
  }
  std::erase_if(all, [](const MeasuredSpeedup& row) { return row.token_ids.empty(); });
  return all;
}

}  // namespace llm
