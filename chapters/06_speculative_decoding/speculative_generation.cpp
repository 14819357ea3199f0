#include "chapters/06_speculative_decoding/speculative_generation.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace llm {

namespace {

using Clock = std::chrono::steady_clock;

double ms_between(Clock::time_point begin, Clock::time_point end) {
  return std::chrono::duration<double, std::milli>(end - begin).count();
}

}  // namespace

SpeculativeGeneration::SpeculativeGeneration(const Transformer& model, KvMemory& memory, AttendFn attend,
                                             Drafter& drafter, int64_t max_tokens, int64_t max_seqs)
    : memory_(memory),
      drafter_(drafter),
      batch_(max_tokens, max_seqs, model.device()),
      runner_(model, attend),
      verifier_(max_tokens, model.device()) {}

// No draft before the prompt was fed, and none that is longer than the text may become: the target adds one itself.
std::vector<Draft> SpeculativeGeneration::draft(std::span<SpeculativeSequence* const> sequences) {
  std::vector<DraftRequest> requests;
  for (SpeculativeSequence* s : sequences) {
    const bool in_step = s->num_computed_tokens > 0 && s->new_tokens().size() == 1;
    const int most = in_step ? std::min(s->max_draft, s->generation.num_left() - 1) : 0;
    requests.push_back({s->id, s->generation.all(), most, s->generation.sampler()});
  }
  return drafter_.draft(requests);
}

// region: step
bool SpeculativeGeneration::step(std::span<SpeculativeSequence* const> sequences) {
  const Clock::time_point begin = Clock::now();
  const std::vector<Draft> drafts = draft(sequences);
  const Clock::time_point drafted_at = Clock::now();

  batch_.clear();
  std::vector<Drafted> drafted;
  for (size_t i = 0; i < sequences.size(); ++i) {
    SpeculativeSequence& s = *sequences[i];
    std::vector<int32_t> tokens(s.new_tokens().begin(), s.new_tokens().end());
    tokens.insert(tokens.end(), drafts[i].tokens.begin(), drafts[i].tokens.end());
    batch_.add(s.id, tokens, s.num_computed_tokens, drafts[i].tokens.empty() ? LogitRows::last : LogitRows::all);
    drafted.push_back({drafts[i], s.generation.sampler()});
  }
  if (!memory_.begin_step(batch_)) {
    for (const SpeculativeSequence* s : sequences) drafter_.truncate(s->id, s->num_computed_tokens);
    return false;
  }
  const std::vector<std::vector<TopToken>> accepted = verifier_.verify(runner_.run(batch_, memory_), drafted);
  const Clock::time_point verified_at = Clock::now();

  for (size_t i = 0; i < sequences.size(); ++i) {
    add(*sequences[i], {drafts[i].tokens, {}, ms_between(begin, drafted_at), ms_between(drafted_at, verified_at)},
        simulated_ ? simulated_->accept(drafts[i], accepted[i]) : accepted[i]);
  }
  return true;
}

// The text grows by what was accepted, up to its end, and the caches shrink to what stands.
void SpeculativeGeneration::add(SpeculativeSequence& s, Round round, std::span<const TopToken> accepted) {
  auto num_passes = std::ssize(s.new_tokens()) + std::ssize(round.drafted);  // tokens that went through the model
  const bool is_prefill = s.num_computed_tokens == 0;
  for (const TopToken& token : accepted) {
    s.generation.add(token, std::exchange(num_passes, 0));
    round.added.push_back(token.id);
    if (s.generation.finished()) break;
  }
  s.num_computed_tokens = static_cast<int32_t>(s.generation.all().size()) - 1;
  memory_.truncate(s.id, s.num_computed_tokens);
  drafter_.truncate(s.id, s.num_computed_tokens);
  if (!is_prefill) s.rounds.push_back(std::move(round));
}
// endregion

SpeculativeSequence generate_speculative(const Transformer& model, KvMemory& memory, AttendFn attend, Drafter& drafter,
                                         const std::vector<int32_t>& prompt, const GenerationParams& params,
                                         int max_draft, const OnRound& on_round) {
  SpeculativeGeneration speculative(model, memory, attend, drafter,
                                    std::max<int64_t>(std::ssize(prompt), max_draft + 1), 1);
  SpeculativeSequence sequence{{0, Generation(prompt, model.config(), params)}, max_draft};
  SpeculativeSequence* const all[] = {&sequence};
  while (!sequence.generation.finished()) {
    require(speculative.step(all), "the cache is smaller than the generation");
    if (!on_round) continue;
    on_round(sequence.rounds.empty() ? Round{{}, sequence.generation.token_ids()} : sequence.rounds.back());
  }
  return sequence;
}

}  // namespace llm
