// Chapter 1, naive generation: run the whole sequence again for every token.
//
// Read docs/01-naive-generation.md beside this file.
#include <fmt/format.h>

#include <numeric>

#include "chapters/01_naive_generation/naive_generation.h"
#include "common/program/predict.h"
#include "common/program/program.h"
#include "common/program/report.h"
#include "common/program/token_stream.h"

namespace llm {
namespace {

// The time that each step should take: a forward pass over all tokens so far.
std::vector<double> predict_step_ms(const Transformer& model, const MachineRates& rates, const Generation& generation) {
  std::vector<double> step_ms;
  for (size_t i = 0; i < generation.token_ids().size(); ++i) {
    const int64_t length = static_cast<int64_t>(generation.prompt().size() + i);
    step_ms.push_back(predict_pass_ms(model, rates, length, length));
  }
  return step_ms;
}

double mean_after_first(const std::vector<double>& step_ms) {
  return std::accumulate(step_ms.begin() + 1, step_ms.end(), 0.0) / static_cast<double>(step_ms.size() - 1);
}

int run(int argc, const char* const* argv) {
  const Options options =
      OptionParser("chapter_01", "Chapter 1, naive generation: the whole sequence again for every token.")
          .parse(argc, argv);
  const LoadedModel model = load_model(options);
  const std::vector<int32_t> prompt = prompt_token_ids(model, options);

  TokenStream stream(model, prompt);
  const Generation generation =
      generate_naive(*model.transformer, prompt, {options.max_tokens, options.ignore_eos, options.sampling},
                     [&](int32_t token) { stream.push(token); });
  stream.finish();

  const int64_t prompt_len = static_cast<int64_t>(prompt.size());
  const int64_t generated = static_cast<int64_t>(generation.token_ids().size());
  const int64_t passes = count_naive_passes(prompt_len, generated);
  const int64_t needed = prompt_len + generated - 1;  // each token once: what chapter 2 gets by with
  const MachineRates rates = measure_rates(*model.transformer);
  const std::vector<double> predicted = predict_step_ms(*model.transformer, rates, generation);

  fmt::print("\ntime per token, in the order in which they came:\n{}", draw_bars(generation.step_ms()));

  Report report({1, "naive generation"}, model, options);
  report.add_generation(generation, 0, predicted.front(), mean_after_first(predicted));
  report.add_ms("time of the last token", predicted.back(), generation.step_ms().back());
  report.add_row("tokens passed through the model", format_count(passes), format_count(generation.token_passes()));
  report.add_row("of these repeated work", "", fmt::format("{:.1f}%", 100.0 * (1.0 - double(needed) / double(passes))));
  report.details().set("token_passes", generation.token_passes()).set("token_passes_needed", needed);
  report.count_near_ties(generation.top_gaps());
  return report.finish();
}

}  // namespace
}  // namespace llm

int main(int argc, char** argv) {
  return llm::run_program([&] { return llm::run(argc, argv); });
}
