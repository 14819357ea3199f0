// The KV cache in its first form: for each sequence one unbroken stretch, reserved for the longest case.
#pragma once

#include <unordered_map>
#include <vector>

#include "common/model/kv_memory.h"
#include "common/model/kv_storage.h"

namespace llm {

// Room for `max_seqs` sequences of up to `max_length` tokens each, all of it taken at once.
class ContiguousKvCache : public KvMemory {
 public:
  ContiguousKvCache(const ModelConfig& config, int64_t max_length, int64_t max_seqs, DType dtype,
                    Device device = Device::cpu);

  // A sequence not seen before takes a free stretch. False when there is none, or a sequence outgrows its own.
  bool begin_step(const Batch& batch) override;
  KvView layer(int layer) override;
  void truncate(int32_t sequence_id, int32_t length) override;
  void release(int32_t sequence_id) override;
  size_t nbytes() const override { return storage_.nbytes(); }

  int32_t length(int32_t sequence_id) const;  // tokens held; 0 for an unknown sequence

 private:
  struct Stretch {
    int32_t block;   // slots block · max_length .. (block + 1) · max_length - 1
    int32_t length;  // tokens held
  };

  int32_t max_length_;
  KvStorage storage_;
  std::unordered_map<int32_t, Stretch> stretches_;  // by sequence id
  std::vector<int32_t> free_blocks_;
  Int32Buffer slots_;        // [num_tokens]
  Int32Buffer block_table_;  // [num_seqs]
};

}  // namespace llm
