#include "chapters/03_paged_attention/block_trace.h"

namespace llm {

BlockTrace::BlockTrace(Trace& trace, int row, const std::string& name, const LoadedModel& model)
    : trace_(trace), row_(row), model_(model) {
  trace_.name_row(row, name);
}

void BlockTrace::add_step(const PagedKvCache& cache, std::span<Text* const> sequences) {
  Json details = Json::object(), described = Json::array();
  if (num_steps_ == 0) details.set("prompt", model_.text(sequences.front()->generation.prompt()));
  details.set("block_size", cache.block_size()).set("num_blocks", cache.pool().num_blocks());
  details.set("free_blocks", cache.pool().num_free());
  for (const Text* s : sequences) {
    Json sequence = Json::object();
    sequence.set("id", s->id).set("text", model_.text({s->generation.token_ids().back()}));
    sequence.set("length", cache.length(s->id)).set("block_table", Json::integers(cache.block_table(s->id)));
    described.push(sequence);
  }
  const double duration_ms = sequences.front()->generation.step_ms().back();
  trace_.add(row_, num_steps_ == 0 ? "prefill" : "decode", end_ms_, duration_ms, details.set("sequences", described));
  end_ms_ += duration_ms;
  ++num_steps_;
}

}  // namespace llm
