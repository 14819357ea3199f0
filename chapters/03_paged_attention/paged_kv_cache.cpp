#include "chapters/03_paged_attention/paged_kv_cache.h"

#include <algorithm>
#include <bit>

#include "common/error.h"
#include "common/tensor/device_memory.h"

namespace llm {

namespace {

constexpr int32_t kMaxBlockSize = 256;

bool is_block_size(int size) {
  return size > 0 && size <= kMaxBlockSize && std::has_single_bit(static_cast<uint32_t>(size));
}

PagedKvCacheSize checked(const PagedKvCacheSize& size) {
  require(is_block_size(size.block_size), "blocks of {} tokens", size.block_size);
  require(size.num_blocks > 0 && size.max_length > 0 && size.max_seqs > 0, "a cache of {} blocks, {} tokens, {} seqs",
          size.num_blocks, size.max_length, size.max_seqs);
  return size;
}

}  // namespace

void check_block_size(int block_size) {
  if (is_block_size(block_size)) return;
  fail_input("--block-size is {}, but must be a power of two from 1 to {}, such as 16", block_size, kMaxBlockSize);
}

PagedKvCache::PagedKvCache(const ModelConfig& config, const PagedKvCacheSize& size, DType dtype, Device device)
    : size_(checked(size)),
      max_blocks_(num_blocks_for(size.max_length)),
      storage_(config, int64_t{size.num_blocks} * size.block_size, dtype, device),
      pool_(size.num_blocks),
      slots_(int64_t{size.num_blocks} * size.block_size, device),
      block_table_(int64_t{size.max_seqs} * max_blocks_, device) {}

int32_t PagedKvCache::num_blocks_for(int32_t num_tokens) const {
  return (num_tokens + size_.block_size - 1) / size_.block_size;
}

BlockTable& PagedKvCache::table(int32_t sequence_id) {
  return tables_.try_emplace(sequence_id, size_.block_size).first->second;
}

// ---- of one sequence ----

bool PagedKvCache::can_allocate(int32_t sequence_id, int32_t num_tokens) const {
  const auto found = tables_.find(sequence_id);
  const BlockTable& table = found == tables_.end() ? BlockTable(size_.block_size) : found->second;
  const int32_t num_blocks = table.num_blocks_to_add(num_tokens) + table.block_to_copy(pool_).has_value();
  return num_blocks <= pool_.num_free() && table.length() + num_tokens <= size_.max_length;
}

bool PagedKvCache::allocate(int32_t sequence_id, int32_t num_tokens) {
  require(num_tokens > 0, "blocks for {} tokens", num_tokens);
  if (!can_allocate(sequence_id, num_tokens)) return false;
  take_blocks(table(sequence_id), num_tokens);
  return true;
}

void PagedKvCache::fork(int32_t parent, int32_t child) {
  require(tables_.contains(parent) && !tables_.contains(child), "sequence {} forked to {}", parent, child);
  BlockTable forked = tables_.at(parent).fork(pool_);
  tables_.emplace(child, std::move(forked));
}

bool PagedKvCache::can_adopt(const std::vector<int32_t>& blocks, int32_t num_more_tokens) const {
  const auto num_unowned = std::ranges::count_if(blocks, [&](int32_t block) { return pool_.ref_count(block) == 0; });
  const auto length = static_cast<int32_t>(blocks.size()) * size_.block_size + num_more_tokens;
  return num_unowned + num_blocks_for(num_more_tokens) <= pool_.num_free() && length <= size_.max_length;
}

void PagedKvCache::adopt(int32_t sequence_id, const std::vector<int32_t>& blocks) {
  require(!tables_.contains(sequence_id), "sequence {} has blocks of its own and adopts others", sequence_id);
  require(can_adopt(blocks, 0), "{} blocks adopted by a sequence of {} tokens at most", blocks.size(),
          size_.max_length);
  table(sequence_id).adopt(blocks, pool_);
}

void PagedKvCache::truncate(int32_t sequence_id, int32_t length) { tables_.at(sequence_id).truncate(length, pool_); }

void PagedKvCache::release(int32_t sequence_id) {
  const auto found = tables_.find(sequence_id);
  if (found == tables_.end()) return;
  found->second.truncate(0, pool_);
  tables_.erase(found);
}

// region: copy_on_write
void PagedKvCache::take_blocks(BlockTable& table, int32_t num_tokens) {
  if (const std::optional<BlockCopy> copy = table.allocate(num_tokens, pool_)) copy_block(*copy);
}

void PagedKvCache::copy_block(const BlockCopy& block_copy) {
  const auto slots_of = [&](TensorView layer, int32_t block) {
    const int64_t first = int64_t{block} * size_.block_size;
    return layer.rows(first, first + block_copy.num_slots);
  };
  const int64_t num_layers = storage_.keys.view().dim(0);
  for (int layer = 0; layer < num_layers; ++layer) {
    for (const TensorView& all : {storage_.k(layer), storage_.v(layer)}) {
      copy(slots_of(all, block_copy.from), slots_of(all, block_copy.to));
    }
  }
  ++blocks_copied_;
}
// endregion

// ---- of a step ----

// region: has_room
bool PagedKvCache::has_room(const Batch& batch) const {
  if (batch.num_seqs() > size_.max_seqs) return false;
  for (const int32_t length : batch.context_len.values()) {
    if (length > size_.max_length) return false;
  }
  return count_blocks_to_take(batch) <= pool_.num_free();
}

int32_t PagedKvCache::count_blocks_to_take(const Batch& batch) const {
  int32_t count = 0;
  std::unordered_map<int32_t, int32_t> copies;  // by block: how many sharers leave it in this step
  const BlockTable empty(size_.block_size);
  for (int64_t s = 0; s < batch.num_seqs(); ++s) {
    const int32_t id = batch.sequence_ids[s], first_position = batch.positions[batch.query_start[s]];
    const auto found = tables_.find(id);
    const BlockTable& table = found == tables_.end() ? empty : found->second;
    require(first_position == table.length(), "sequence {} goes on at position {}, but {} tokens are cached", id,
            first_position, table.length());
    count += table.num_blocks_to_add(batch.context_len[s] - table.length());
    const std::optional<int32_t> shared = table.block_to_copy(pool_);
    if (!shared || pool_.ref_count(*shared) - copies[*shared] == 1) continue;  // the last sharer writes in place
    ++copies[*shared];
    ++count;
  }
  return count;
}
// endregion

// region: begin_step
bool PagedKvCache::begin_step(const Batch& batch) {
  if (!has_room(batch)) return false;
  slots_.clear();
  block_table_.clear();
  for (int64_t s = 0; s < batch.num_seqs(); ++s) {
    BlockTable& table = this->table(batch.sequence_ids[s]);
    const int32_t first_position = table.length(), num_tokens = batch.context_len[s] - first_position;
    take_blocks(table, num_tokens);
    table.append(num_tokens);
    for (int32_t i = 0; i < num_tokens; ++i) slots_.push_back(table.slot(first_position + i));
    for (const int32_t block : table.blocks()) block_table_.push_back(block);
    // Rows of one width: a recorded CUDA graph finds each sequence's where it was.
    while (block_table_.size() < (s + 1) * max_blocks_) block_table_.push_back(-1);
  }
  upload_lists({&slots_, &block_table_});
  return true;
}
// endregion

KvView PagedKvCache::layer(int layer) {
  const TensorView table = block_table_.view();
  return {storage_.k(layer), storage_.v(layer), slots_.view(),
          table.reshaped({table.dim(0) / max_blocks_, max_blocks_}), size_.block_size};
}

// ---- what is held ----

int32_t PagedKvCache::length(int32_t sequence_id) const {
  const auto found = tables_.find(sequence_id);
  return found == tables_.end() ? 0 : found->second.length();
}

std::vector<int32_t> PagedKvCache::block_table(int32_t sequence_id) const {
  const auto found = tables_.find(sequence_id);
  return found == tables_.end() ? std::vector<int32_t>() : found->second.blocks();
}

size_t PagedKvCache::bytes_used() const {
  std::vector<int32_t> num_filled(static_cast<size_t>(size_.num_blocks), 0);  // slots of each block
  for (const auto& [id, table] : tables_) {
    int32_t left = table.length();
    for (const int32_t block : table.blocks()) {
      int32_t& filled = num_filled[static_cast<size_t>(block)];
      filled = std::max(filled, std::min(left, size_.block_size));
      left = std::max(0, left - size_.block_size);
    }
  }
  size_t num_slots = 0;
  for (const int32_t filled : num_filled) num_slots += static_cast<size_t>(filled);
  return num_slots * (block_nbytes() / static_cast<size_t>(size_.block_size));
}

}  // namespace llm
