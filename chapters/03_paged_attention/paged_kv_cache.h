// The KV cache in blocks: a sequence takes a block when it needs one, and shares those that others hold as well.
// Kwon et al., "Efficient Memory Management for Large Language Model Serving with PagedAttention", 2023.
#pragma once

#include <unordered_map>

#include "chapters/03_paged_attention/block_table.h"
#include "common/model/kv_memory.h"
#include "common/model/kv_storage.h"

namespace llm {

struct PagedKvCacheSize {
  int32_t num_blocks;
  int32_t block_size;  // tokens; a power of two from 1 to 256
  int32_t max_length;  // of a sequence: how wide the block table is
  int32_t max_seqs;    // in one step
};

// Throws InputError where --block-size is not a power of two from 1 to 256.
void check_block_size(int block_size);

class PagedKvCache : public KvMemory {
 public:
  PagedKvCache(const ModelConfig& config, const PagedKvCacheSize& size, DType dtype, Device device = Device::cpu);

  // ---- of one sequence, which is new where its id is not known ----

  // Whether there are blocks for `num_tokens` more tokens.
  bool can_allocate(int32_t sequence_id, int32_t num_tokens) const;
  // Takes those blocks now, so that a later step finds them. False: there are too few, and nothing has changed.
  bool allocate(int32_t sequence_id, int32_t num_tokens);
  // `child`, an id not in use, goes on from all that `parent` holds.
  void fork(int32_t parent, int32_t child);
  // Whether `num_more_tokens` find blocks behind `blocks`, full ones of another sequence, that are adopted first:
  // beside the new ones it takes those of `blocks` that nobody owns now.
  bool can_adopt(const std::vector<int32_t>& blocks, int32_t num_more_tokens) const;
  // An id not in use begins with the tokens that stand in these full blocks, owned from now on by one more; a free one
  // whose numbers still stand may be among them.
  void adopt(int32_t sequence_id, const std::vector<int32_t>& blocks);
  void truncate(int32_t sequence_id, int32_t length) override;
  void release(int32_t sequence_id) override;

  // ---- of a step ----

  // Takes the blocks that the new tokens need and makes the copies that are due. False: too few blocks, or a sequence
  // outgrows max_length, or there are more than max_seqs.
  bool begin_step(const Batch& batch) override;
  KvView layer(int layer) override;

  // ---- what is held ----

  int32_t length(int32_t sequence_id) const;                    // tokens; 0 for an unknown sequence
  std::vector<int32_t> block_table(int32_t sequence_id) const;  // its blocks; none for an unknown sequence
  BlockPool& pool() { return pool_; }
  const BlockPool& pool() const { return pool_; }
  int32_t block_size() const { return size_.block_size; }
  int32_t max_length() const { return size_.max_length; }
  int32_t num_blocks_for(int32_t num_tokens) const;  // ceil(num_tokens / block_size)
  int64_t blocks_copied() const { return blocks_copied_; }

  size_t nbytes() const override { return storage_.nbytes(); }
  size_t block_nbytes() const { return nbytes() / static_cast<size_t>(size_.num_blocks); }
  size_t bytes_reserved() const { return static_cast<size_t>(pool_.num_used()) * block_nbytes(); }
  size_t bytes_used() const;  // by tokens; what several sequences share counts once

 private:
  BlockTable& table(int32_t sequence_id);
  bool has_room(const Batch& batch) const;
  int32_t count_blocks_to_take(const Batch& batch) const;
  void take_blocks(BlockTable& table, int32_t num_tokens);
  void copy_block(const BlockCopy& copy);

  PagedKvCacheSize size_;
  int32_t max_blocks_;  // of one sequence
  KvStorage storage_;
  BlockPool pool_;
  std::unordered_map<int32_t, BlockTable> tables_;  // by sequence id
  int64_t blocks_copied_ = 0;
  Int32Buffer slots_;        // [num_tokens]
  Int32Buffer block_table_;  // [num_seqs, max_blocks]
};

}  // namespace llm
