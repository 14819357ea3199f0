#include "common/tensor/workspace.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <vector>

namespace llm {
namespace {

constexpr int64_t kMegabyte = int64_t{1} << 20;

// A forward pass's way of taking: some at the start, some in scopes. Returns the addresses in order, having written
// everything that was taken.
std::vector<void*> take_as_a_pass_does(Workspace& workspace, int64_t size) {
  std::vector<void*> addresses;
  const auto take = [&](Shape shape, DType dtype) {
    const TensorView view = workspace.take(shape, dtype);
    std::memset(view.data, 0x11, view.nbytes());
    addresses.push_back(view.data);
  };
  workspace.reset();
  take({size, 3}, DType::f32);
  take({size}, DType::bf16);
  for (int layer = 0; layer < 3; ++layer) {
    const Workspace::Scope scope(workspace);
    take({2, size}, DType::f32);
    const Workspace::Scope inner(workspace);
    take({7}, DType::i32);
  }
  take({1}, DType::f32);
  return addresses;
}

TEST(Workspace, HandsOutWhatWasAskedFor) {
  Workspace workspace;
  const TensorView view = workspace.take({3, 5}, DType::bf16);
  EXPECT_EQ(view.shape, (Shape{3, 5}));
  EXPECT_EQ(view.dtype, DType::bf16);
  EXPECT_EQ(view.device, Device::cpu);
  EXPECT_NE(view.data, nullptr);
}

TEST(Workspace, WhatIsTakenNeverOverlapsAndIsAligned) {
  std::mt19937 random(1);
  Workspace workspace;
  for (int round = 0; round < 20; ++round) {
    workspace.reset();
    std::vector<std::pair<char*, size_t>> taken;
    for (int i = 0; i < 60; ++i) {
      const int64_t size = static_cast<int64_t>(random() % (i % 10 == 0 ? 300000 : 300));
      const TensorView view = workspace.take({size}, DType::f32);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(view.data) % 256, 0u);
      std::memset(view.data, i, view.nbytes());
      taken.emplace_back(static_cast<char*>(view.data), view.nbytes());
    }
    for (size_t i = 0; i < taken.size(); ++i) {  // nobody wrote over another's
      for (size_t at = 0; at < taken[i].second; at += 97) ASSERT_EQ(taken[i].first[at], static_cast<char>(i));
    }
  }
}

TEST(Workspace, SameTakesSameAddressesAndNoNewMemory) {
  for (const int64_t size : {int64_t{1}, int64_t{1000}, int64_t{300007}, kMegabyte}) {
    Workspace workspace;
    take_as_a_pass_does(workspace, size);
    const std::vector<void*> second = take_as_a_pass_does(workspace, size);
    const size_t capacity = workspace.capacity();
    for (int repetition = 0; repetition < 5; ++repetition) {
      EXPECT_EQ(take_as_a_pass_does(workspace, size), second) << size;
      EXPECT_EQ(workspace.capacity(), capacity);
    }
  }
}

TEST(Workspace, SmallerPassesLeaveTheLargeOnesAddresses) {
  Workspace workspace;
  take_as_a_pass_does(workspace, kMegabyte);
  const std::vector<void*> large = take_as_a_pass_does(workspace, kMegabyte);
  take_as_a_pass_does(workspace, 17);
  const std::vector<void*> small = take_as_a_pass_does(workspace, 17);
  EXPECT_EQ(take_as_a_pass_does(workspace, kMegabyte), large);
  EXPECT_EQ(take_as_a_pass_does(workspace, 17), small);
}

TEST(Workspace, ViewsStayGoodWhileItGrows) {
  Workspace workspace;
  const TensorView first = workspace.take({100}, DType::i32);
  for (int i = 0; i < 100; ++i) first.as<int32_t>()[i] = i;
  for (int growth = 0; growth < 4; ++growth) {
    const TensorView more = workspace.take({kMegabyte << growth}, DType::i32);
    std::memset(more.data, 0xff, more.nbytes());
  }
  for (int i = 0; i < 100; ++i) EXPECT_EQ(first.as<int32_t>()[i], i);
}

TEST(Workspace, AScopeGivesBackWhatWasTakenInIt) {
  Workspace workspace;
  workspace.take({5}, DType::f32);
  void* inside = nullptr;
  {
    const Workspace::Scope scope(workspace);
    inside = workspace.take({9}, DType::f32).data;
    EXPECT_NE(workspace.take({9}, DType::f32).data, inside);
  }
  EXPECT_EQ(workspace.take({2}, DType::f32).data, inside);
}

TEST(Workspace, AScopeThatGrewItGivesBackToo) {
  Workspace workspace;
  const TensorView before = workspace.take({5}, DType::i32);
  before.as<int32_t>()[4] = 99;
  for (int repetition = 0; repetition < 3; ++repetition) {
    const Workspace::Scope scope(workspace);
    const TensorView large = workspace.take({2 * kMegabyte}, DType::i32);
    std::memset(large.data, 0, large.nbytes());
  }
  const size_t capacity = workspace.capacity();
  {
    const Workspace::Scope scope(workspace);
    workspace.take({2 * kMegabyte}, DType::i32);
  }
  EXPECT_EQ(workspace.capacity(), capacity) << "the memory of the first scope serves the others";
  EXPECT_EQ(before.as<int32_t>()[4], 99);
}

TEST(Workspace, TakesNothing) {
  Workspace workspace;
  EXPECT_EQ(workspace.capacity(), 0u);
  EXPECT_EQ(workspace.take({0, 8}, DType::f32).numel(), 0);
  workspace.reset();
  EXPECT_NE(workspace.take({1}, DType::f32).data, nullptr);
}

}  // namespace
}  // namespace llm
