#include "chapters/02_kv_cache/contiguous_kv_cache.h"

namespace llm {

ContiguousKvCache::ContiguousKvCache(const ModelConfig& config, int64_t max_length, int64_t max_seqs, DType dtype,
                                     Device device)
    : max_length_(static_cast<int32_t>(max_length)),
      storage_(config, max_length * max_seqs, dtype, device),
      slots_(max_length * max_seqs, device),
      block_table_(max_seqs, device) {
  for (int64_t block = max_seqs - 1; block >= 0; --block) free_blocks_.push_back(static_cast<int32_t>(block));
}

// region: begin_step
bool ContiguousKvCache::begin_step(const Batch& batch) {
  size_t newcomers = 0;
  for (int64_t s = 0; s < batch.num_seqs(); ++s) {
    if (batch.context_len[s] > max_length_) return false;
    newcomers += !stretches_.contains(batch.sequence_ids[s]);
  }
  if (newcomers > free_blocks_.size()) return false;

  slots_.clear();
  block_table_.clear();
  for (int64_t s = 0; s < batch.num_seqs(); ++s) {
    const int32_t id = batch.sequence_ids[s];
    if (!stretches_.contains(id)) {
      stretches_[id] = {free_blocks_.back(), 0};
      free_blocks_.pop_back();
    }
    Stretch& stretch = stretches_[id];
    const int32_t first_position = batch.positions[batch.query_start[s]];
    require(first_position == stretch.length, "sequence {} goes on at position {}, but {} tokens are cached", id,
            first_position, stretch.length);
    for (int32_t position = first_position; position < batch.context_len[s]; ++position) {
      slots_.push_back(stretch.block * max_length_ + position);
    }
    block_table_.push_back(stretch.block);
    stretch.length = batch.context_len[s];
  }
  upload_lists({&slots_, &block_table_});
  return true;
}
// endregion

// region: layer
KvView ContiguousKvCache::layer(int layer) {
  return {storage_.k(layer), storage_.v(layer), slots_.view(), block_table_.view().reshaped({block_table_.size(), 1}),
          max_length_};
}
// endregion

void ContiguousKvCache::truncate(int32_t sequence_id, int32_t length) {
  Stretch& stretch = stretches_.at(sequence_id);
  require(0 <= length && length <= stretch.length, "sequence {} of {} tokens cut to {}", sequence_id, stretch.length,
          length);
  stretch.length = length;  // what stands beyond is overwritten before it is read
}

void ContiguousKvCache::release(int32_t sequence_id) {
  const auto found = stretches_.find(sequence_id);
  if (found == stretches_.end()) return;
  free_blocks_.push_back(found->second.block);
  stretches_.erase(found);
}

int32_t ContiguousKvCache::length(int32_t sequence_id) const {
  const auto found = stretches_.find(sequence_id);
  return found == stretches_.end() ? 0 : found->second.length;
}

}  // namespace llm
