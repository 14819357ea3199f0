#include "chapters/03_paged_attention/batched_generation.h"

namespace llm {

BatchedGeneration::BatchedGeneration(const Transformer& model, KvMemory& memory, AttendFn attend, int64_t max_tokens,
                                     int64_t max_seqs)
    : memory_(memory),
      batch_(max_tokens, max_seqs, model.device()),
      runner_(model, attend),
      sampler_(max_seqs, model.device()) {}

// region: step
bool BatchedGeneration::step(std::span<Text* const> sequences) {
  batch_.clear();
  for (const Text* s : sequences) batch_.add(s->id, s->new_tokens(), s->num_computed_tokens, LogitRows::last);
  if (!memory_.begin_step(batch_)) return false;
  logits_ = runner_.run(batch_, memory_);
  std::vector<SampleRow> rows;
  for (Text* s : sequences) rows.push_back(s->generation.next_row());
  const std::vector<TopToken> sampled = sampler_.sample(logits_, rows);
  for (size_t i = 0; i < sequences.size(); ++i) {
    Text& s = *sequences[i];
    const auto num_new = static_cast<int32_t>(s.new_tokens().size());
    s.num_computed_tokens += num_new;
    s.generation.add(sampled[i], num_new);
  }
  return true;
}
// endregion

}  // namespace llm
