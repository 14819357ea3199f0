// What the checks of the exercises share: failures in words for readers.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

namespace llm {

// A number that the reader predicted, against what the book's code says when it runs. Nothing is given away before a
// prediction stands there.
template <class T>
void expect_prediction(const std::string& name, T predicted, T actual, const std::string& what, double tolerance = 0) {
  const double difference = std::abs(static_cast<double>(predicted - actual));
  if (predicted == T{}) {
    ADD_FAILURE() << fmt::format("{} is still {}: write your prediction there.", name, predicted);
  } else if (!(difference <= tolerance * std::abs(static_cast<double>(actual)))) {
    ADD_FAILURE() << fmt::format("{} is {}, but {} {}.", name, predicted, what, actual);
  }
}

// What a function of the reader's says, against what is right. The sentence that is streamed in tells the situation.
#define ASSERT_ANSWER(answer, right) ASSERT_PRED_FORMAT2(llm::is_answer, answer, right)
#define ASSERT_NEAR_ANSWER(answer, right, tolerance) ASSERT_PRED_FORMAT3(llm::is_near_answer, answer, right, tolerance)

template <class Answer, class Right>
testing::AssertionResult is_answer(const char*, const char*, const Answer& answer, const Right& right) {
  if (answer == right) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "Your answer: " << testing::PrintToString(answer)
                                     << ". The right one: " << testing::PrintToString(right) << ".";
}

inline testing::AssertionResult is_near_answer(const char*, const char*, const char*, double answer, double right,
                                               double tolerance) {
  if (std::abs(answer - right) <= tolerance) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "Your answer: " << answer << ". The right one: " << right << ".";
}

}  // namespace llm
