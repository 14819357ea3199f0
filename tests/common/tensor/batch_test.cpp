#include "common/tensor/batch.h"

#include <gtest/gtest.h>

#include <vector>

namespace llm {
namespace {

using Ids = std::vector<int32_t>;

Ids values(const Int32Buffer& buffer) { return {buffer.values().begin(), buffer.values().end()}; }

TEST(Int32Buffer, IsFilledUpToItsCapacity) {
  Int32Buffer buffer(3);
  EXPECT_TRUE(buffer.empty());
  EXPECT_EQ(buffer.capacity(), 3);
  for (const int32_t value : {7, -1, INT32_MAX}) buffer.push_back(value);
  EXPECT_EQ(buffer.size(), 3);
  EXPECT_FALSE(buffer.empty());
  EXPECT_EQ(values(buffer), (Ids{7, -1, INT32_MAX}));
  EXPECT_THROW(buffer.push_back(0), std::logic_error);
  EXPECT_EQ(values(buffer), (Ids{7, -1, INT32_MAX})) << "the refusal changed nothing";
}

TEST(Int32Buffer, ItsAddressNeverChanges) {
  Int32Buffer buffer(100);
  const void* address = buffer.view().data;
  for (int round = 0; round < 3; ++round) {
    buffer.clear();
    EXPECT_EQ(buffer.view().shape, Shape{0});
    for (int i = 0; i < 100; ++i) buffer.push_back(i);
    EXPECT_EQ(buffer.view().data, address);
    EXPECT_EQ(buffer.view().shape, Shape{100});
  }
  buffer.assign(Ids{4, 5});
  EXPECT_EQ(values(buffer), (Ids{4, 5}));
  EXPECT_EQ(buffer.view().data, address);
  EXPECT_EQ(buffer.view().as<int32_t>()[1], 5);
  buffer[1] = 6;
  EXPECT_EQ(buffer[1], 6);
}

TEST(Int32Buffer, MayHaveNoCapacity) {
  Int32Buffer buffer(0);
  EXPECT_EQ(buffer.view().numel(), 0);
  buffer.assign({});
  EXPECT_THROW(buffer.push_back(1), std::logic_error);
}

TEST(Batch, IsEmptyAtFirst) {
  const Batch batch(4, 2);
  EXPECT_EQ(batch.num_tokens(), 0);
  EXPECT_EQ(batch.num_seqs(), 0);
  EXPECT_EQ(batch.num_logits(), 0);
  EXPECT_EQ(values(batch.query_start), Ids{0});
}

// A whole prompt, a chunk that is not its last, one token, and a draft of three to be verified.
TEST(Batch, SequencesStandSideBySide) {
  Batch batch(10, 4);
  batch.add(5, Ids{10, 11, 12}, 0, LogitRows::last);
  batch.add(2, Ids{20, 21}, 4, LogitRows::none);
  batch.add(9, Ids{30}, 17, LogitRows::last);
  batch.add(0, Ids{40, 41, 42}, 3, LogitRows::all);
  EXPECT_EQ(values(batch.tokens), (Ids{10, 11, 12, 20, 21, 30, 40, 41, 42}));
  EXPECT_EQ(values(batch.positions), (Ids{0, 1, 2, 4, 5, 17, 3, 4, 5}));
  EXPECT_EQ(values(batch.query_start), (Ids{0, 3, 5, 6, 9}));
  EXPECT_EQ(values(batch.context_len), (Ids{3, 6, 18, 6}));
  EXPECT_EQ(values(batch.sequence_ids), (Ids{5, 2, 9, 0}));
  EXPECT_EQ(values(batch.logit_rows), (Ids{2, 5, 6, 7, 8}));
  EXPECT_EQ(batch.num_tokens(), 9);
  EXPECT_EQ(batch.num_seqs(), 4);
  EXPECT_EQ(batch.num_logits(), 5);
}

TEST(Batch, IsFilledAnewAtTheSameAddresses) {
  Batch batch(3, 2);
  const auto addresses = [&] {
    std::vector<void*> all;
    for (const Int32Buffer* buffer : {&batch.tokens, &batch.positions, &batch.query_start, &batch.context_len,
                                      &batch.sequence_ids, &batch.logit_rows}) {
      all.push_back(buffer->view().data);
    }
    return all;
  };
  const std::vector<void*> before = addresses();
  for (int step = 0; step < 3; ++step) {
    batch.clear();
    batch.add(1, Ids{1, 2}, step, LogitRows::all);
    batch.add(2, Ids{3}, step, LogitRows::all);
    EXPECT_EQ(values(batch.query_start), (Ids{0, 2, 3}));
    EXPECT_EQ(values(batch.logit_rows), (Ids{0, 1, 2}));
    EXPECT_EQ(addresses(), before);
  }
}

TEST(Batch, RefusesWhatDoesNotFit) {
  Batch batch(3, 1);
  EXPECT_THROW(batch.add(0, {}, 0, LogitRows::last), std::logic_error) << "a sequence with no tokens";
  EXPECT_THROW(batch.add(0, Ids{1, 2, 3, 4}, 0, LogitRows::last), std::logic_error);
  batch.clear();
  batch.add(0, Ids{1}, 0, LogitRows::last);
  EXPECT_THROW(batch.add(1, Ids{1}, 0, LogitRows::last), std::logic_error);
}

}  // namespace
}  // namespace llm
