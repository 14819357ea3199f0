// The one comparison of numbers in the tests: close, of the same shape, and nowhere NaN or infinite.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <ranges>
#include <source_location>
#include <vector>

#include "common/tensor/tensor.h"

namespace llm {

// The elements of a float tensor on the CPU.
inline std::vector<double> to_doubles(const TensorView& tensor) {
  std::vector<double> values(static_cast<size_t>(tensor.numel()));
  for (size_t i = 0; i < values.size(); ++i) {
    switch (tensor.dtype) {
      case DType::f32:
        values[i] = tensor.as<float>()[i];
        break;
      case DType::bf16:
        values[i] = to_float(tensor.as<bf16>()[i]);
        break;
      case DType::f16:
        values[i] = to_float(tensor.as<f16>()[i]);
        break;
      case DType::i32:
        values[i] = tensor.as<int32_t>()[i];
        break;
    }
  }
  return values;
}

inline std::vector<double> to_doubles(const Tensor& tensor) { return to_doubles(tensor.view()); }

template <std::ranges::sized_range Numbers>
std::vector<double> to_doubles(const Numbers& numbers) {
  return {std::ranges::begin(numbers), std::ranges::end(numbers)};
}

// What speaks against `actual` being `expected`: a different size, NaN or infinity on either side, or a difference
// above tolerance · max(1, |expected|). Names the worst element.
inline testing::AssertionResult is_close(const std::vector<double>& actual, const std::vector<double>& expected,
                                         double tolerance) {
  if (actual.size() != expected.size()) {
    return testing::AssertionFailure() << actual.size() << " elements where " << expected.size() << " are expected";
  }
  size_t worst = 0;
  double worst_error = -1.0;
  for (size_t i = 0; i < actual.size(); ++i) {
    if (!std::isfinite(actual[i]) || !std::isfinite(expected[i])) {
      return testing::AssertionFailure() << "element " << i << " is " << actual[i] << ", expected " << expected[i];
    }
    const double error = std::abs(actual[i] - expected[i]) / std::max(1.0, std::abs(expected[i]));
    if (error > worst_error) {
      worst = i;
      worst_error = error;
    }
  }
  if (worst_error <= tolerance) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "element " << worst << " is " << actual[worst] << ", expected "
                                     << expected[worst] << ": " << worst_error << " off, " << tolerance << " allowed";
}

// Either side: a Tensor, a TensorView, or any sized range of numbers. Two tensors must also agree in shape.
template <class Actual, class Expected>
void expect_close(const Actual& actual, const Expected& expected, double tolerance,
                  std::source_location where = std::source_location::current()) {
  const testing::ScopedTrace trace(where.file_name(), static_cast<int>(where.line()), "expect_close");
  if constexpr (std::is_convertible_v<Actual, TensorView> && std::is_convertible_v<Expected, TensorView>) {
    const TensorView actual_view = actual, expected_view = expected;
    if (!(actual_view.shape == expected_view.shape)) {
      ADD_FAILURE() << "shape " << actual_view.shape.to_string() << ", expected " << expected_view.shape.to_string();
      return;
    }
  }
  EXPECT_TRUE(is_close(to_doubles(actual), to_doubles(expected), tolerance));
}

}  // namespace llm
