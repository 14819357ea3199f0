#include "chapters/07_continuous_batching/serving_output.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <string_view>

namespace llm {

namespace {

const Sequence& sequence_of(const Engine& engine, int32_t id) { return engine.sequences()[static_cast<size_t>(id)]; }

Json names_of(const Engine& engine, const std::vector<int32_t>& ids) {
  Json names = Json::array();
  for (const int32_t id : ids) names.push(sequence_of(engine, id).request.id);
  return names;
}

// A full context is one more limit of length.
const char* reason_of(const Generation& generation) {
  const FinishReason reason = generation.finish_reason();
  return name_of(reason == FinishReason::context ? FinishReason::length : reason);
}

}  // namespace

std::string describe_results(const Engine& engine) {
  std::string lines;
  for (const Sequence& s : engine.sequences()) {
    Json line = Json::object();
    line.set("id", s.request.id).set("token_ids", Json::integers(s.generation.token_ids()));
    line.set("text", s.output.text()).set("finish_reason", reason_of(s.generation));
    line.set("cached_tokens", s.num_cached_tokens).set("preemptions", s.num_preemptions);
    const bool begun = !s.generation.step_ms().empty();
    line.set("ttft_ms", begun ? s.generation.ttft_ms() : std::numeric_limits<double>::quiet_NaN());
    if (s.generation.finish_reason() == FinishReason::rejected) line.set("reason", engine.refusal(s));
    lines += line.dump(-1) + "\n";
  }
  return lines;
}

std::string describe_steps(const Engine& engine) {
  std::string lines;
  for (const StepRecord& record : engine.log()) {
    Json scheduled = Json::object();
    for (const StepRecord::Part& part : record.parts) {
      scheduled.set(sequence_of(engine, part.sequence_id).request.id, part.num_tokens);
    }
    Json line = Json::object();
    line.set("step", record.step).set("scheduled", scheduled);
    line.set("running", record.num_running).set("waiting", record.num_waiting);
    line.set("preempted", names_of(engine, record.preempted)).set("finished", names_of(engine, record.finished));
    lines += line.set("free_blocks", record.free_blocks).dump(-1) + "\n";
  }
  return lines;
}

char letter_of(int32_t sequence_id) {
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  return kLetters[static_cast<size_t>(sequence_id) % kLetters.size()];
}

std::string list_arrivals(const Engine& engine) {
  std::vector<const Sequence*> order;
  for (const Sequence& s : engine.sequences()) order.push_back(&s);
  std::ranges::stable_sort(order, {}, [](const Sequence* s) { return s->request.arrival_step; });
  constexpr size_t kPerLine = 6, kMost = 48;
  std::string text;
  for (size_t i = 0; i < std::min(order.size(), kMost); ++i) {
    const Request& request = order[i]->request;
    const std::string lengths = fmt::format("{} + {}", request.prompt.size(), request.params.max_tokens);
    text += fmt::format("{}{} {:>9} @ {:<5}", i % kPerLine == 0 ? "  " : " ", letter_of(order[i]->id), lengths,
                        request.arrival_step);
    if (i % kPerLine == kPerLine - 1 || i + 1 == order.size()) text.erase(text.find_last_not_of(' ') + 1) += "\n";
  }
  return text + (order.size() > kMost ? "  ...\n" : "");
}

std::string draw_slots(const Engine& engine, int32_t num_slots, int64_t steps_per_column) {
  const auto num_columns = static_cast<size_t>((std::ssize(engine.log()) + steps_per_column - 1) / steps_per_column);
  std::vector<std::string> rows(static_cast<size_t>(num_slots), std::string(num_columns, '.'));
  for (size_t i = 0; i < engine.log().size(); ++i) {
    const size_t column = i / static_cast<size_t>(steps_per_column);
    for (std::string& row : rows) row[column] = '.';
    for (const StepRecord::Part& part : engine.log()[i].parts) {
      rows[static_cast<size_t>(part.slot)][column] = letter_of(part.sequence_id);
    }
  }
  std::string text;
  for (size_t slot = 0; slot < rows.size(); ++slot) text += fmt::format("  slot {:>2}  {}\n", slot, rows[slot]);
  return text;
}

Trace trace_slots(const Engine& engine, int32_t num_slots) {
  Trace trace;
  for (int32_t slot = 0; slot < num_slots; ++slot) trace.name_row(slot, fmt::format("slot {}", slot));
  for (const StepRecord& record : engine.log()) {
    for (const StepRecord::Part& part : record.parts) {
      Json details = Json::object();
      details.set("step", record.step).set("tokens", part.num_tokens).set("context", part.context_len);
      const bool decode = part.sampled && part.num_tokens == 1;
      const std::string& id = sequence_of(engine, part.sequence_id).request.id;
      trace.add(part.slot, fmt::format("{} {}", id, decode ? "decode" : "prefill"), record.start_ms, record.ms,
                details);
    }
  }
  return trace;
}

}  // namespace llm
