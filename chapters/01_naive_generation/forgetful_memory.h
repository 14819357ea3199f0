// A memory that keeps nothing: keys and values live for one layer of one step.
#pragma once

#include "common/model/kv_memory.h"
#include "common/model/kv_storage.h"

namespace llm {

// Every step must bring each sequence whole, from its first token. All sequences of a step get as much room as its
// longest one, so that length times their number may be at most `max_tokens`. All layers share one layer's room, since
// a layer's keys and values are never looked at again once the next layer has begun.
class ForgetfulMemory : public KvMemory {
 public:
  ForgetfulMemory(const ModelConfig& config, int64_t max_tokens, int64_t max_seqs, DType dtype,
                  Device device = Device::cpu);

  bool begin_step(const Batch& batch) override;
  KvView layer(int layer) override;
  void truncate(int32_t, int32_t) override {}
  void release(int32_t) override {}
  size_t nbytes() const override { return 0; }  // nothing outlives a step

 private:
  KvStorage scratch_;        // one layer
  Int32Buffer slots_;        // [num_tokens]
  Int32Buffer block_table_;  // [num_seqs]: sequence s has the block s
  int block_size_ = 0;       // this step's longest sequence
};

}  // namespace llm
