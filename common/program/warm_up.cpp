#include "common/program/warm_up.h"

#include "common/model/kv_storage.h"
#include "common/tensor/device_memory.h"

namespace llm {

namespace {

// Padding stores nothing and sees nothing: one slot that nobody touches.
class UntouchedMemory : public KvMemory {
 public:
  explicit UntouchedMemory(const Transformer& model)
      : storage_(model.config(), 1, model.dtype(), model.device()), empty_(1, model.device()) {}

  bool begin_step(const Batch&) override { return true; }
  KvView layer(int layer) override {
    return {storage_.k(layer), storage_.v(layer), empty_.view(), empty_.view().reshaped({0, 1}), 1};
  }
  void truncate(int32_t, int32_t) override {}
  void release(int32_t) override {}
  size_t nbytes() const override { return storage_.nbytes(); }

 private:
  KvStorage storage_;
  Int32Buffer empty_;  // slots and block table
};

}  // namespace

void warm_up(const Transformer& model, int64_t max_rows) {
  UntouchedMemory memory(model);
  Batch batch(max_rows, max_rows, model.device());
  Workspace workspace(model.device());
  const Tensor logits({1, model.config().vocab_size}, DType::f32, model.device());
  const Tensor top_token({1, 2}, DType::i32, model.device());
  for (int64_t rows = 1; rows <= max_rows; ++rows) {
    batch.clear();
    while (batch.num_tokens() < rows - 1) batch.add_padding(LogitRows::none);
    batch.add_padding();
    model.forward(batch, memory, model.ops().attend, workspace, logits);
    model.ops().argmax(logits, workspace, top_token);
    synchronize(model.device());
  }
}

}  // namespace llm
