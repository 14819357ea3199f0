#include "chapters/07_continuous_batching/alone.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "chapters/02_kv_cache/cached_generation.h"
#include "chapters/02_kv_cache/contiguous_kv_cache.h"

namespace llm {

Generation generate_alone(const Transformer& model, AttendFn attend, const Request& request) {
  const int64_t longest = std::ssize(request.prompt) + request.params.max_tokens;
  ContiguousKvCache cache(model.config(), std::min<int64_t>(longest, model.config().context_length), 1, model.dtype(),
                          model.device());
  return generate_cached(model, cache, attend, request.prompt, request.params);
}

Comparison compare_alone(const Generation& alone, const Sequence& sequence, float tolerance) {
  const std::vector<int32_t>& actual = sequence.generation.token_ids();
  const FinishReason reason = sequence.generation.finish_reason();
  const bool cut = sequence.output.stopped() || reason == FinishReason::cancelled;
  const size_t length = std::min(alone.token_ids().size(), cut ? actual.size() : SIZE_MAX);
  const auto first = [&](const auto& values) { return std::vector(values.begin(), values.begin() + length); };
  return compare_outputs(first(alone.token_ids()), first(alone.top_gaps()), actual, tolerance);
}

OneByOne::OneByOne(const Transformer& model, AttendFn attend, const std::deque<Sequence>& served) {
  const auto begin = std::chrono::steady_clock::now();
  for (const Sequence& s : served) {
    texts.emplace_back();
    if (s.generation.finish_reason() == FinishReason::rejected) continue;
    texts.back() = generate_alone(model, attend, s.request);
    num_tokens += std::ssize(texts.back()->token_ids());
  }
  seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

SameTexts compare_all(const OneByOne& alone, const std::deque<Sequence>& served, float tolerance) {
  SameTexts same;
  for (const Sequence& s : served) {
    const std::optional<Generation>& text = alone.texts[static_cast<size_t>(s.id)];
    if (!text) continue;
    const Comparison comparison = compare_alone(*text, s, tolerance);
    ++same.num_compared;
    same.num_same += comparison.same;
    same.num_at_near_ties += comparison.same && comparison.first_difference.has_value();
    if (comparison.same || !same.first_that_differs.empty()) continue;
    same.first_that_differs = fmt::format("request {} says what it says alone: {}", s.request.id, describe(comparison));
  }
  return same;
}

}  // namespace llm
