#include "chapters/01_naive_generation/forgetful_memory.h"

#include <algorithm>

namespace llm {

namespace {

ModelConfig one_layer(ModelConfig config) {
  config.num_layers = 1;
  return config;
}

}  // namespace

ForgetfulMemory::ForgetfulMemory(const ModelConfig& config, int64_t max_tokens, int64_t max_seqs, DType dtype,
                                 Device device)
    : scratch_(one_layer(config), max_tokens, dtype, device),
      slots_(max_tokens, device),
      block_table_(max_seqs, device) {}

// region: begin_step
bool ForgetfulMemory::begin_step(const Batch& batch) {
  int32_t longest = 0;
  for (const int32_t length : batch.context_len.values()) longest = std::max(longest, length);
  if (longest * batch.num_seqs() > slots_.capacity() || batch.num_seqs() > block_table_.capacity()) return false;

  block_size_ = longest;
  slots_.clear();
  block_table_.clear();
  for (int32_t s = 0; s < batch.num_seqs(); ++s) {
    const int32_t begin = batch.query_start[s], end = batch.query_start[s + 1];
    require(batch.context_len[s] == end - begin, "sequence {} came in part to a memory that keeps nothing",
            batch.sequence_ids[s]);
    block_table_.push_back(s);
    for (int32_t position = 0; position < end - begin; ++position) slots_.push_back(s * block_size_ + position);
  }
  upload_lists({&slots_, &block_table_});
  return true;
}
// endregion

KvView ForgetfulMemory::layer(int) {
  return {scratch_.k(0), scratch_.v(0), slots_.view(), block_table_.view().reshaped({block_table_.size(), 1}),
          block_size_};
}

}  // namespace llm
