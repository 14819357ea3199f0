// One step's work: the new tokens of some sequences.
#pragma once

#include <span>

#include "common/tensor/int32_buffer.h"

namespace llm {

// Which of a sequence's new tokens need logits: none (a chunk of a prompt that is not its last), the last (to sample
// the next token), or all (to verify a draft, or to score a text).
enum class LogitRows { none, last, all };

// region: batch
// Each sequence's tokens stand together and in order of position. Buffers of fixed capacity, filled anew at each step.
struct Batch {
  Batch(int64_t max_tokens, int64_t max_seqs, Device device = Device::cpu);

  void clear();
  void assign(const Batch& other);  // the same step
  // Appends a sequence's new tokens at positions first_position, first_position + 1, ...
  void add(int32_t sequence_id, std::span<const int32_t> new_tokens, int32_t first_position, LogitRows rows);

  // Appends a token of no sequence, at position -1: what fills up a recorded step on a GPU, and the empty places of a
  // static batch. Nothing of it is stored, and it sees no keys. The memory does not know of it, so it is added after
  // begin_step, and nothing comes behind it but other padding.
  void add_padding(LogitRows rows = LogitRows::last);

  void upload() const;  // all lists to the device

  int64_t num_tokens() const { return tokens.size(); }
  int64_t num_seqs() const { return sequence_ids.size(); }
  int64_t num_logits() const { return logit_rows.size(); }

  Int32Buffer tokens, positions;  // [num_tokens]
  Int32Buffer query_start;        // [num_seqs + 1] sequence s has the tokens query_start[s] .. query_start[s + 1] - 1
  Int32Buffer context_len;        // [num_seqs] keys visible after this step
  Int32Buffer sequence_ids;       // [num_seqs], for the host alone
  Int32Buffer logit_rows;         // [num_logits] the tokens whose logits are wanted
};
// endregion

}  // namespace llm
