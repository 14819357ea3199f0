// What the operators' tests share: random operands, numbers of threads, and equality to the last bit.
#pragma once

#include <gtest/gtest.h>
#include <omp.h>

#include <cstring>
#include <random>

#include "common/ops/parallel.h"
#include "common/tensor/tensor.h"

namespace llm {

// Sizes that divide by nothing, and some that do.
inline constexpr int64_t kOddSizes[] = {1, 2, 7, 8, 16, 31, 33, 48, 64, 65, 127, 128};

inline void set(const TensorView& tensor, int64_t i, float value) {
  switch (tensor.dtype) {
    case DType::f32:
      tensor.as<float>()[i] = value;
      break;
    case DType::bf16:
      tensor.as<bf16>()[i] = to_bf16(value);
      break;
    case DType::f16:
      tensor.as<f16>()[i] = to_f16(value);
      break;
    case DType::i32:
      tensor.as<int32_t>()[i] = static_cast<int32_t>(value);
      break;
  }
}

// Numbers between −1 and 1.
inline Tensor random_tensor(Shape shape, uint64_t seed, DType dtype = DType::f32) {
  Tensor tensor(shape, dtype);
  std::mt19937_64 generator(seed);
  std::uniform_real_distribution<float> numbers(-1.0f, 1.0f);
  for (int64_t i = 0; i < shape.numel(); ++i) set(tensor, i, numbers(generator));
  return tensor;
}

inline Tensor filled_tensor(Shape shape, float value, DType dtype = DType::f32) {
  Tensor tensor(shape, dtype);
  for (int64_t i = 0; i < shape.numel(); ++i) set(tensor, i, value);
  return tensor;
}

inline Tensor copy_of(const TensorView& view) {
  Tensor copy(view.shape, view.dtype);
  std::memcpy(copy.view().data, view.data, view.nbytes());
  return copy;
}

inline Tensor int32_tensor(std::initializer_list<int32_t> values) {
  Tensor tensor({static_cast<int64_t>(values.size())}, DType::i32);
  std::ranges::copy(values, tensor.view().as<int32_t>());
  return tensor;
}

// The same shape, dtype and bits.
inline testing::AssertionResult same_bits(const TensorView& a, const TensorView& b) {
  if (!(a.shape == b.shape) || a.dtype != b.dtype) {
    return testing::AssertionFailure() << a.shape.to_string() << " is not " << b.shape.to_string();
  }
  const char *const a_bytes = static_cast<const char*>(a.data), *const b_bytes = static_cast<const char*>(b.data);
  for (size_t i = 0; i < a.nbytes(); ++i) {
    if (a_bytes[i] != b_bytes[i]) return testing::AssertionFailure() << "differs in element " << i / size_of(a.dtype);
  }
  return testing::AssertionSuccess();
}

}  // namespace llm
