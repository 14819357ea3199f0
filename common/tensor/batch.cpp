#include "common/tensor/batch.h"

namespace llm {

Batch::Batch(int64_t max_tokens, int64_t max_seqs, Device device)
    : tokens(max_tokens, device),
      positions(max_tokens, device),
      query_start(max_seqs + 1, device),
      context_len(max_seqs, device),
      sequence_ids(max_seqs),
      logit_rows(max_tokens, device) {
  clear();
}

void Batch::clear() {
  for (Int32Buffer* buffer : {&tokens, &positions, &query_start, &context_len, &sequence_ids, &logit_rows}) {
    buffer->clear();
  }
  query_start.push_back(0);
}

void Batch::assign(const Batch& other) {
  tokens.assign(other.tokens.values());
  positions.assign(other.positions.values());
  query_start.assign(other.query_start.values());
  context_len.assign(other.context_len.values());
  sequence_ids.assign(other.sequence_ids.values());
  logit_rows.assign(other.logit_rows.values());
}

void Batch::upload() const { upload_lists({&tokens, &positions, &query_start, &context_len, &logit_rows}); }

void Batch::add(int32_t sequence_id, std::span<const int32_t> new_tokens, int32_t first_position, LogitRows rows) {
  require(!new_tokens.empty(), "sequence {} joined a step with no tokens", sequence_id);
  for (size_t i = 0; i < new_tokens.size(); ++i) {
    const bool wanted = rows == LogitRows::all || (rows == LogitRows::last && i + 1 == new_tokens.size());
    if (wanted) logit_rows.push_back(static_cast<int32_t>(num_tokens()));
    tokens.push_back(new_tokens[i]);
    positions.push_back(first_position + static_cast<int32_t>(i));
  }
  query_start.push_back(static_cast<int32_t>(num_tokens()));
  context_len.push_back(first_position + static_cast<int32_t>(new_tokens.size()));
  sequence_ids.push_back(sequence_id);
}

void Batch::add_padding(LogitRows rows) {
  constexpr int32_t kNoSequence = -1, kNoPosition = -1, kAnyToken = 0;
  if (rows != LogitRows::none) logit_rows.push_back(static_cast<int32_t>(num_tokens()));
  tokens.push_back(kAnyToken);
  positions.push_back(kNoPosition);
  query_start.push_back(static_cast<int32_t>(num_tokens()));
  context_len.push_back(0);
  sequence_ids.push_back(kNoSequence);
}

}  // namespace llm
