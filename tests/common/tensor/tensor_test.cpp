#include "common/tensor/tensor.h"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>
#include <vector>

namespace llm {
namespace {

Tensor counted(Shape shape) {  // 0, 1, 2, ...
  Tensor tensor(shape, DType::f32);
  float* values = tensor.view().as<float>();
  std::iota(values, values + tensor.view().numel(), 0.0f);
  return tensor;
}

TEST(Shape, CountsItsElements) {
  EXPECT_EQ(Shape{}.numel(), 1);
  EXPECT_EQ(Shape{}.rank(), 0);
  EXPECT_EQ(Shape{7}.numel(), 7);
  EXPECT_EQ((Shape{2, 3, 5, 7}.numel()), 210);
  EXPECT_EQ((Shape{2, 0, 5}.numel()), 0);
  EXPECT_EQ((Shape{1 << 20, 1 << 20}.numel()), int64_t{1} << 40) << "in 64 bits";
  EXPECT_EQ((Shape{2, 3, 5, 7}.rank()), 4);
  EXPECT_EQ((Shape{2, 3, 5, 7})[2], 5);
}

TEST(Shape, IsWrittenInBrackets) {
  EXPECT_EQ(Shape{}.to_string(), "[]");
  EXPECT_EQ(Shape{3}.to_string(), "[3]");
  EXPECT_EQ((Shape{3, 4}.to_string()), "[3, 4]");
}

TEST(Shape, EqualityKnowsTheRank) {
  EXPECT_EQ((Shape{3, 4}), (Shape{3, 4}));
  EXPECT_FALSE((Shape{3, 4} == Shape{4, 3}));
  EXPECT_FALSE((Shape{3} == Shape{3, 1}));
  EXPECT_FALSE((Shape{3} == Shape{3, 0}));
}

TEST(Shape, RefusesNegativeDimensionsAndTooMany) {
  EXPECT_THROW((Shape{3, -1}), std::logic_error);
  EXPECT_THROW((Shape{1, 1, 1, 1, 1}), std::logic_error);
}

TEST(Tensor, HoldsItsShapeAndBytes) {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16, DType::i32}) {
    const Tensor tensor({3, 5}, dtype);
    EXPECT_EQ(tensor.view().nbytes(), 15 * size_of(dtype));
    EXPECT_EQ(tensor.view().dtype, dtype);
    EXPECT_EQ(tensor.view().device, Device::cpu);
    EXPECT_FALSE(tensor.empty());
    std::memset(tensor.view().data, 0x5a, tensor.view().nbytes());  // ours to write, says ASan
  }
}

TEST(Tensor, IsAlignedAtEverySize) {
  for (const int64_t bytes :
       {1, 4, 63, 64, 65, 257, 4096, (1 << 20) + 4, (2 << 20) - 4, 2 << 20, (2 << 20) + 4, 5 << 20}) {
    const Tensor tensor({(bytes + 3) / 4}, DType::i32);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.view().data) % 256, 0u) << bytes;
    std::memset(tensor.view().data, 1, tensor.view().nbytes());
  }
}

TEST(Tensor, MayBeEmpty) {
  EXPECT_TRUE(Tensor().empty());
  EXPECT_TRUE(TensorView().empty());
  const Tensor none({0, 4}, DType::f32);
  EXPECT_TRUE(none.empty());
  EXPECT_EQ(none.view().nbytes(), 0u);
  EXPECT_EQ(none.view().rows(0, 0).shape, (Shape{0, 4}));
  EXPECT_EQ(none.view().reshaped({4, 0}).shape, (Shape{4, 0}));
}

TEST(Tensor, CopiesShareMemory) {
  Tensor first = counted({4});
  const Tensor second = first;
  second.view().as<float>()[2] = 42.0f;
  EXPECT_EQ(first.view().as<float>()[2], 42.0f);
  first = Tensor();
  EXPECT_EQ(second.view().as<float>()[2], 42.0f) << "kept alive by the copy";
}

TEST(Tensor, KeepsForeignMemoryAlive) {
  const auto memory = std::make_shared<std::vector<float>>(6, 1.5f);
  const std::weak_ptr<std::vector<float>> watch = memory;
  auto part = std::make_unique<Tensor>(TensorView{memory->data() + 2, {4}, DType::f32, Device::cpu}, memory);
  EXPECT_EQ(watch.use_count(), 2);
  EXPECT_EQ(part->view().as<float>()[0], 1.5f);
  part.reset();
  EXPECT_EQ(watch.use_count(), 1);
}

TEST(TensorView, RowsArePartsOfTheOutermostDimension) {
  for (const Shape& shape : {Shape{7}, Shape{7, 3}, Shape{7, 3, 2}, Shape{7, 3, 2, 5}}) {
    const Tensor all = counted(shape);
    const int64_t row_size = shape.numel() / 7;
    for (int64_t begin = 0; begin <= 7; ++begin) {
      for (int64_t end = begin; end <= 7; ++end) {
        const TensorView part = all.view().rows(begin, end);
        EXPECT_EQ(part.shape.rank(), shape.rank());
        EXPECT_EQ(part.dim(0), end - begin);
        EXPECT_EQ(part.numel(), (end - begin) * row_size);
        for (int i = 1; i < shape.rank(); ++i) EXPECT_EQ(part.dim(i), shape[i]);
        EXPECT_EQ(part.as<float>(), all.view().as<float>() + begin * row_size);
      }
    }
  }
}

TEST(TensorView, RowsOfTwoByteNumbers) {
  const Tensor all({5, 3}, DType::bf16);
  EXPECT_EQ(all.view().rows(2, 4).as<bf16>(), all.view().as<bf16>() + 6);
}

TEST(TensorView, RefusesRowsThatAreNotThere) {
  const Tensor all = counted({4, 2});
  EXPECT_THROW(all.view().rows(-1, 2), std::logic_error);
  EXPECT_THROW(all.view().rows(3, 2), std::logic_error);
  EXPECT_THROW(all.view().rows(0, 5), std::logic_error);
  const TensorView scalar{all.view().data, {}, DType::f32, Device::cpu};
  EXPECT_THROW(scalar.rows(0, 0), std::logic_error);
}

TEST(TensorView, ReshapedKeepsTheElements) {
  const Tensor all = counted({4, 6});
  const TensorView same = all.view().reshaped({2, 3, 4});
  EXPECT_EQ(same.shape, (Shape{2, 3, 4}));
  EXPECT_EQ(same.data, all.view().data);
  EXPECT_THROW(all.view().reshaped({5, 5}), std::logic_error);
}

TEST(TensorView, IsReadAsItsOwnDtypeOnly) {
  const Tensor numbers({4}, DType::bf16);
  EXPECT_NO_THROW(numbers.view().as<bf16>());
  EXPECT_THROW(numbers.view().as<f16>(), std::logic_error);
  EXPECT_THROW(numbers.view().as<float>(), std::logic_error);
  EXPECT_THROW(numbers.view().as<int32_t>(), std::logic_error);
}

}  // namespace
}  // namespace llm
