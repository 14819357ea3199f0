#include "chapters/08_prompt_caching/load_comparison.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/program/format.h"
#include "common/program/same_output.h"

namespace llm {

namespace {

constexpr int64_t kArrivalGap = 4;  // steps; enough to get a prompt's first token, so that the next one may use it

using Answers = std::vector<std::vector<int32_t>>;  // of a conversation, by turn

std::vector<Request> next_requests(const AssistantLoad& load, const std::vector<Answers>& said) {
  std::vector<Request> requests;
  for (size_t c = 0; c < load.conversations.size(); ++c) {
    if (said[c].size() == load.conversations[c].messages.size()) continue;
    Request request{fmt::format("{} {}.{}", load.name, c, said[c].size()),
                    load.next_prompt(c, said[c]),
                    {load.answer_tokens, true, {}}};
    request.arrival_step = kArrivalGap * std::ssize(requests);
    request.breakpoints = {static_cast<int32_t>(load.conversations[c].prefix.size()),
                           static_cast<int32_t>(request.prompt.size())};  // for the others, and for the next turn
    requests.push_back(std::move(request));
  }
  return requests;
}

// A client that does not wait may leave at another token when all goes faster: then only what both have is compared.
bool says_the_same(const Generation& cold, const Generation& warm, float tolerance) {
  std::vector<int32_t> expected = cold.token_ids(), actual = warm.token_ids();
  if (cold.finish_reason() == FinishReason::cancelled || warm.finish_reason() == FinishReason::cancelled) {
    const size_t both = std::min(expected.size(), actual.size());
    expected.resize(both);
    actual.resize(both);
  }
  const std::vector<float>& gaps = cold.top_gaps();
  return compare_outputs(expected, {gaps.begin(), gaps.begin() + std::ssize(expected)}, actual, tolerance).same;
}

}  // namespace

std::vector<const Sequence*> compare_requests(const std::vector<Request>& requests, PromptService& cold,
                                              PromptService& warm, ServedTexts& texts, LoadComparison& result) {
  const int64_t evicted_before = warm.num_evicted();
  const std::vector<const Sequence*> cold_sequences = cold.serve(requests), warm_sequences = warm.serve(requests);
  for (size_t i = 0; i < requests.size(); ++i) {
    const Generation &expected = cold_sequences[i]->generation, &actual = warm_sequences[i]->generation;
    std::vector<std::vector<int32_t>>& known = texts[requests[i].salt];
    ++result.num_requests;
    result.num_same += says_the_same(expected, actual, near_tie(warm.dtype()));
    const bool is_too_short = warm.is_too_short(*warm_sequences[i]);
    result.num_too_short += is_too_short;
    if (actual.token_ids().empty()) continue;  // rejected, or gone before its first token
    result.usage += warm.usage_of(*warm_sequences[i]);
    result.cold_ttft_ms.push_back(expected.ttft_ms());
    result.warm_ttft_ms.push_back(actual.ttft_ms());
    if (is_too_short) continue;
    result.predicted_cached_tokens += predict_cached_tokens(known, requests[i].prompt, warm.cache().block_size());
    known.emplace_back(actual.all().begin(), actual.all().end() - 1);  // the last token is never computed
  }
  result.num_evicted += warm.num_evicted() - evicted_before;
  result.most_shared_blocks = std::max(result.most_shared_blocks, warm.most_shared_blocks());
  return cold_sequences;
}

LoadComparison compare_load(const AssistantLoad& load, PromptService& cold, PromptService& warm,
                            const std::function<void()>& pause) {
  LoadComparison result;
  result.name = load.name;
  ServedTexts texts;
  std::vector<Answers> said(load.conversations.size());
  while (true) {
    const std::vector<Request> requests = next_requests(load, said);
    if (requests.empty()) return result;
    const std::vector<const Sequence*> answers = compare_requests(requests, cold, warm, texts, result);
    // All conversations of a load are equally long: the requests are theirs, in order.
    for (size_t c = 0; c < said.size(); ++c) said[c].push_back(answers[c]->generation.token_ids());
    pause();
  }
}

int64_t predict_cached_tokens(const std::vector<std::vector<int32_t>>& texts, const std::vector<int32_t>& prompt,
                              int32_t block_size) {
  int64_t longest = 0;
  for (const std::vector<int32_t>& text : texts) {
    longest = std::max<int64_t>(longest, std::ranges::mismatch(text, prompt).in1 - text.begin());
  }
  return std::min(longest, std::ssize(prompt) - 1) / block_size * block_size;
}

double LoadComparison::hit_rate() const {
  return static_cast<double>(usage.cached_tokens) / static_cast<double>(usage.prompt_tokens());
}

double LoadComparison::ttft_ratio() const { return median(cold_ttft_ms) / median(warm_ttft_ms); }

double LoadComparison::relative_cost(const CachePrice& price) const {
  return cost_of(usage, price) / static_cast<double>(usage.prompt_tokens());
}

std::string draw_loads(const std::vector<LoadComparison>& loads, const CachePrice& price) {
  Table table({"load", "requests", "prompt tokens", "cached", "shared at a time", "evicted", "first token", "price"});
  for (const LoadComparison& load : loads) {
    table.add({load.name, format_count(load.num_requests), format_count(load.usage.prompt_tokens()),
               format_share(load.hit_rate()), format_count(load.most_shared_blocks), format_count(load.num_evicted),
               format_ratio(load.ttft_ratio()), format_share(load.relative_cost(price))});
  }
  return table.to_string();
}

LoadComparison sum_of(const std::vector<LoadComparison>& loads) {
  LoadComparison sum;
  for (const LoadComparison& load : loads) {
    sum.num_requests += load.num_requests;
    sum.num_same += load.num_same;
    sum.num_too_short += load.num_too_short;
    sum.usage += load.usage;
    sum.predicted_cached_tokens += load.predicted_cached_tokens;
    sum.num_evicted += load.num_evicted;
  }
  return sum;
}

Json describe_load(const LoadComparison& load, const CachePrice& price) {
  Json json = Json::object();
  json.set("name", load.name).set("requests", load.num_requests).set("requests_same_output", load.num_same);
  json.set("requests_too_short", load.num_too_short).set("prompt_tokens", load.usage.prompt_tokens());
  json.set("cached_tokens", load.usage.cached_tokens).set("written_tokens", load.usage.written_tokens);
  json.set("fresh_tokens", load.usage.fresh_tokens).set("predicted_cached_tokens", load.predicted_cached_tokens);
  json.set("hit_rate", load.hit_rate())
      .set("blocks_shared", load.most_shared_blocks)
      .set("evictions", load.num_evicted);
  json.set("ttft_ms_cold", median(load.cold_ttft_ms)).set("ttft_ms_warm", median(load.warm_ttft_ms));
  return json.set("price", load.relative_cost(price));
}

}  // namespace llm
