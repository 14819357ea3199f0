// The first half of the seam: where keys and values live.
#pragma once

#include "common/tensor/batch.h"
#include "common/tensor/kv_view.h"

namespace llm {

// region: kv_memory
// Chapter 1 forgets after each step, 2 keeps, 3 pages, 8 shares.
class KvMemory {
 public:
  virtual ~KvMemory() = default;

  // Finds slots for the batch's new tokens. False: out of room, and nothing has changed.
  virtual bool begin_step(const Batch& batch) = 0;

  // The slots of this step and the table of all that is visible, for one layer. Valid until the next begin_step.
  virtual KvView layer(int layer) = 0;

  // Takes back what stands at positions `length` and beyond.
  virtual void truncate(int32_t sequence_id, int32_t length) = 0;

  // Forgets a sequence that has ended; its room is free again.
  virtual void release(int32_t sequence_id) = 0;

  // Bytes held for keys and values from step to step, used or not.
  virtual size_t nbytes() const = 0;
};
// endregion

}  // namespace llm
