#include "chapters/04_flash_attention/online_softmax.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "common/error.h"

namespace llm {

// region: add_tile
void OnlineSoftmax::add_tile(std::span<const float> scores, std::span<const float> values) {
  require(values.size() == scores.size() * out.size(), "{} values for {} scores", values.size(), scores.size());
  float new_max = max;
  for (const float score : scores) new_max = std::max(new_max, score);
  if (std::isinf(new_max)) return;  // nothing seen yet

  // What was summed against the old maximum is now against the new one.
  const float rescale = std::exp(max - new_max);
  sum *= rescale;
  for (float& o : out) o *= rescale;
  max = new_max;

  for (size_t i = 0; i < scores.size(); ++i) {
    const float weight = std::exp(scores[i] - max);
    sum += weight;
    for (size_t d = 0; d < out.size(); ++d) out[d] += weight * values[i * out.size() + d];
  }
}
// endregion

std::vector<float> OnlineSoftmax::result() const {
  std::vector<float> result = out;
  if (sum > 0.0f) {
    for (float& o : result) o /= sum;
  }
  return result;
}

float OnlineSoftmax::log_sum_exp() const { return max + std::log(sum); }

std::string describe(const OnlineSoftmax& state) {
  return fmt::format("m {:g}  l {:.3f}  O / l ({:.3f})", state.max, state.sum, fmt::join(state.result(), ", "));
}

std::string trace_online_softmax(std::span<const float> scores, std::span<const float> values, size_t tile) {
  require(tile > 0 && !scores.empty(), "tiles of {} over {} scores", tile, scores.size());
  OnlineSoftmax state(values.size() / scores.size());
  std::string text;
  for (size_t begin = 0; begin < scores.size(); begin += tile) {
    const size_t count = std::min(tile, scores.size() - begin);
    state.add_tile(scores.subspan(begin, count), values.subspan(begin * state.out.size(), count * state.out.size()));
    text += fmt::format("scores [{:g}]  {}\n", fmt::join(scores.subspan(begin, count), ", "), describe(state));
  }
  return text;
}

}  // namespace llm
