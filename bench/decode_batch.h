// A decode step of many sequences, again and again: what a batch costs at each size.
#pragma once

#include <algorithm>

#include "chapters/03_paged_attention/paged_kv_cache.h"
#include "chapters/07_continuous_batching/serving_predictions.h"
#include "common/model/step_runner.h"
#include "common/tensor/device_memory.h"

namespace llm {

class DecodeBatch {
 public:
  // Each of the sequences holds `context` tokens, of a pattern that is the same everywhere.
  DecodeBatch(const Transformer& model, AttendFn attend, int32_t num_seqs, int32_t context)
      : model_(model),
        num_seqs_(num_seqs),
        context_(context),
        cache_(model.config(), {num_seqs * (context / kBlockSize + 1), kBlockSize, context + 1, num_seqs},
               model.dtype(), model.device()),
        batch_(std::max(num_seqs, context), num_seqs, model.device()),
        runner_(model, attend) {
    for (int32_t id = 0; id < num_seqs; ++id) {
      batch_.clear();
      add(id, 0, context);
      compute();
    }
    for (int i = 0; i < 3; ++i) run();  // as it is, into its own memory, recorded on a GPU
  }

  // A step of one token each, waited for and then taken back.
  void run() {
    batch_.clear();
    for (int32_t id = 0; id < num_seqs_; ++id) add(id, context_, 1);
    compute();
    for (int32_t id = 0; id < num_seqs_; ++id) cache_.truncate(id, context_);
  }

  StepCost cost() const {
    StepRecord record;
    record.num_logits = num_seqs_;
    for (int32_t id = 0; id < num_seqs_; ++id) record.parts.push_back({id, id, 1, context_ + 1, true});
    return cost_of(model_, record);
  }

 private:
  static constexpr int32_t kBlockSize = 16;

  void add(int32_t id, int32_t first, int32_t count) {
    std::vector<int32_t> tokens;
    for (int32_t i = 0; i < count; ++i) {
      tokens.push_back(static_cast<int32_t>((7919LL * (first + i) + 13 + 31 * id) % model_.config().vocab_size));
    }
    batch_.add(id, tokens, first, LogitRows::last);
  }
  void compute() {
    require(cache_.begin_step(batch_), "no room for {} sequences", num_seqs_);
    runner_.run(batch_, cache_);
    synchronize(model_.device());
  }

  const Transformer& model_;
  int32_t num_seqs_, context_;
  PagedKvCache cache_;
  Batch batch_;
  StepRunner runner_;
};

}  // namespace llm
