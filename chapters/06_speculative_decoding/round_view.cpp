#include "chapters/06_speculative_decoding/round_view.h"

#include <fmt/format.h>

#include <algorithm>

namespace llm {

namespace {

constexpr const char *kGreen = "\x1b[32m", *kRedStruck = "\x1b[31;9m", *kPlain = "\x1b[0m";

// A token's text on one line; of weights without a tokenizer, its id.
std::string text_of(const LoadedModel& model, int32_t token) {
  if (!model.tokenizer) return fmt::format("{}", token);
  std::string text;
  for (const char c : model.tokenizer->decode({token}, false)) text += c == '\n' ? std::string("↵") : std::string(1, c);
  return text;
}

}  // namespace

void RoundStream::push(const Round& round) {
  const auto num_accepted = static_cast<size_t>(round.num_accepted());
  for (size_t i = 0; i < round.added.size(); ++i) {
    const bool accepted = i < num_accepted;
    if (color_ && i == num_accepted && i < round.drafted.size()) {
      fmt::print("{}{}{}", kRedStruck, text_of(model_, round.drafted[i]), kPlain);
    }
    if (color_ && accepted) fmt::print("{}", kGreen);
    stream_.push(round.added[i]);
    if (color_ && accepted) fmt::print("{}", kPlain);
  }
}

std::string draw_rounds(const LoadedModel& model, std::span<const Round> rounds, size_t most) {
  const auto joined = [&](std::span<const int32_t> tokens) {
    std::string text;
    for (const int32_t token : tokens) text += fmt::format("[{}]", text_of(model, token));
    return text;
  };
  std::string lines;
  for (size_t i = 0; i < std::min(most, rounds.size()); ++i) {
    const Round& round = rounds[i];
    const auto accepted = static_cast<size_t>(round.num_accepted());
    lines += fmt::format("  round {}: drafted {}, accepted {} of {}, target adds {}\n", i + 1,
                         round.drafted.empty() ? "nothing" : joined(round.drafted), accepted, round.drafted.size(),
                         accepted < round.added.size() ? joined(std::span(round.added).subspan(accepted)) : "nothing");
  }
  return lines;
}

void trace_rounds(Trace& trace, int row, const LoadedModel& model, const Generation& generation,
                  std::span<const Round> rounds) {
  trace.name_row(row, "rounds");
  int64_t position = std::ssize(generation.prompt());
  double start_ms = generation.ttft_ms();
  Json prefill = Json::object();
  prefill.set("prompt", model.text(generation.prompt())).set("text", model.text({generation.token_ids().front()}));
  prefill.set("position", position++).set("token_passes", generation.step_passes().front());
  trace.add(row, "prefill", 0.0, start_ms, prefill);
  for (const Round& round : rounds) {
    Json details = Json::object(), drafted = Json::array();
    for (const int32_t token : round.drafted) drafted.push(model.text({token}));
    details.set("drafted", drafted).set("accepted", round.num_accepted()).set("position", position);
    if (round.num_accepted() < std::ssize(round.added)) details.set("text", model.text({round.added.back()}));
    details.set("token_passes", std::ssize(round.drafted) + 1);
    trace.add(row, "round", start_ms, round.draft_ms + round.verify_ms, details);
    position += std::ssize(round.added);
    start_ms += round.draft_ms + round.verify_ms;
  }
}

}  // namespace llm
