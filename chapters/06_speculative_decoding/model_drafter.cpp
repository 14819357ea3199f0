#include "chapters/06_speculative_decoding/model_drafter.h"

#include <chrono>

#include "chapters/02_kv_cache/cached_generation.h"
#include "chapters/02_kv_cache/contiguous_kv_cache.h"
#include "common/ops/parallel.h"

namespace llm {

ModelDrafter::ModelDrafter(const Transformer& model, KvMemory& memory, AttendFn attend, int64_t max_tokens,
                           int64_t max_seqs, int num_threads)
    : model_(model),
      memory_(memory),
      batch_(max_tokens, max_seqs, model.device()),
      runner_(model, attend),
      sampler_(max_seqs, model.device()),
      num_threads_(num_threads) {}

std::vector<Draft> ModelDrafter::draft(std::span<const DraftRequest> requests) {
  const Threads threads(num_threads_);
  std::vector<Draft> drafts(requests.size());
  while (step(requests, drafts)) {
  }
  return drafts;
}

// region: step
// One more token for each draft that is not complete. False: there was none, or no room.
bool ModelDrafter::step(std::span<const DraftRequest> requests, std::vector<Draft>& drafts) {
  batch_.clear();
  std::vector<size_t> growing;
  for (size_t i = 0; i < requests.size(); ++i) {
    const auto& [id, context, max_tokens, sampler] = requests[i];
    const std::vector<int32_t>& drafted = drafts[i].tokens;
    const auto fed = static_cast<int64_t>(context.size() + drafted.size());
    if (std::ssize(drafted) >= max_tokens || fed > model_.config().context_length) continue;
    const int32_t known = length(id);
    require(known < fed, "sequence {} has {} tokens, but the draft model knows {}", id, fed, known);
    const std::span<const int32_t> unseen =
        drafted.empty() ? context.subspan(static_cast<size_t>(known)) : std::span(drafted).last(1);
    batch_.add(id, unseen, known, LogitRows::last);
    growing.push_back(i);
  }
  if (growing.empty() || !memory_.begin_step(batch_)) return false;

  const TensorView logits = runner_.run(batch_, memory_);
  const std::vector<TopToken> likeliest = sampler_.sample(logits, std::vector<SampleRow>(growing.size()));
  for (size_t row = 0; row < growing.size(); ++row) {
    const DraftRequest& request = requests[growing[row]];
    Draft& draft = drafts[growing[row]];
    lengths_[request.sequence_id] = batch_.context_len[static_cast<int64_t>(row)];
    if (request.sampler.params().temperature == 0.0) {
      draft.tokens.push_back(likeliest[row].id);
      continue;
    }
    const Tensor here = to_host(logits.rows(static_cast<int64_t>(row), static_cast<int64_t>(row) + 1));
    const auto* const values = here.view().as<float>();
    draft.q.push_back(token_distribution({values, values + here.view().numel()}, request.sampler.params()));
    draft.tokens.push_back(draw(draft.q.back(), request.sampler.uniform()).id);
  }
  return true;
}
// endregion

void ModelDrafter::truncate(int32_t sequence_id, int32_t length) {
  const auto known = lengths_.find(sequence_id);
  if (known == lengths_.end() || known->second <= length) return;
  memory_.truncate(sequence_id, length);
  known->second = length;
}

void ModelDrafter::release(int32_t sequence_id) {
  if (lengths_.erase(sequence_id) > 0) memory_.release(sequence_id);
}

int32_t ModelDrafter::length(int32_t sequence_id) const {
  const auto known = lengths_.find(sequence_id);
  return known == lengths_.end() ? 0 : known->second;
}

int faster_num_threads(const Transformer& model) {
  const int all = omp_get_max_threads();
  if (model.device() != Device::cpu || all == 1) return all;
  constexpr int kSteps = 24;
  const auto decode_ms = [&](int num_threads) {
    const Threads threads(num_threads);
    ContiguousKvCache cache(model.config(), kSteps, 1, model.dtype());
    return median_decode_ms(generate_cached(model, cache, model.ops().attend, {0}, {kSteps - 1, true, {}}));
  };
  return decode_ms(1) <= decode_ms(all) ? 1 : all;
}

}  // namespace llm
