#include "exercises/01_naive_generation.h"

#include <algorithm>
#include <numeric>

namespace llm::exercises {

const int64_t kTokenPasses = 30 * 20 + 20 * 19 / 2;  // 30 for the first token, 31 for the second, ..., 49 for the last
const int64_t kTokenPassesNeeded = 30 + 19;

int64_t count_token_passes(int64_t prompt, int64_t generated) {
  return prompt * generated + generated * (generated - 1) / 2;
}

std::vector<int32_t> generate(const NextToken& next_token, const std::vector<int32_t>& prompt, int max_tokens,
                              int32_t end_of_text) {
  std::vector<int32_t> all = prompt;
  int32_t token = 0;
  do {
    token = next_token(all);
    all.push_back(token);
  } while (token != end_of_text && all.size() < prompt.size() + static_cast<size_t>(max_tokens));
  return {all.begin() + static_cast<ptrdiff_t>(prompt.size()), all.end()};
}

std::vector<double> keep_top_p(std::span<const double> probabilities, double top_p) {
  std::vector<size_t> ids(probabilities.size());
  std::iota(ids.begin(), ids.end(), size_t{0});
  std::ranges::stable_sort(ids, [&](size_t a, size_t b) { return probabilities[a] > probabilities[b]; });
  std::vector<double> kept(probabilities.size());
  double sum = 0.0;
  for (const size_t id : ids) {
    kept[id] = probabilities[id];
    sum += kept[id];
    if (sum >= top_p) break;
  }
  for (double& probability : kept) probability /= sum;
  return kept;
}

}  // namespace llm::exercises
